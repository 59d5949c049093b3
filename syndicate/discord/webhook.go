// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord

import (
	"context"

	"xeiaso.net/site/syndicate"
)

// webhook announces by a webhook. It is no [syndicate.Reconciler], since nobody
// can find out what became of an attempt whose answer was lost.
type webhook struct{ target }

var (
	_ syndicate.Composer  = (*webhook)(nil)
	_ syndicate.Editor    = (*webhook)(nil)
	_ syndicate.Deleter   = (*webhook)(nil)
	_ syndicate.Defaulter = (*webhook)(nil)
)

// Send implements [syndicate.Target]. It looks at the webhook first: one that
// was deleted is noticed, and messages get their addresses.
func (w *webhook) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	m, err := decode(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	if err := w.ready(ctx); err != nil {
		return syndicate.Receipt{}, err
	}
	made, err := w.post(ctx, m)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	return w.receipt(made), nil
}
