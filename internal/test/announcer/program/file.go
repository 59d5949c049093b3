// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"time"

	"xeiaso.net/site/syndicate"
)

// fileNetwork is a file with a line for each announcement. Like a network it has
// the announcement some time before it answers.
func fileNetwork() network {
	return network{
		target: func(config json.RawMessage, _ syndicate.Store) (syndicate.Target, error) {
			var f file
			err := json.Unmarshal(config, &f.name)
			return f, err
		},
		naive: func(ctx context.Context, config json.RawMessage, p syndicate.Post) error {
			var f file
			if err := json.Unmarshal(config, &f.name); err != nil {
				return err
			}
			_, err := f.Send(ctx, syndicate.Attempt{ID: p.ID})
			return err
		},
	}
}

type file struct{ name string }

func (f file) Send(_ context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	out, err := os.OpenFile(f.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	defer out.Close()
	if _, err := out.WriteString(a.ID + "\n"); err != nil {
		return syndicate.Receipt{}, err
	}
	<-time.After(10 * time.Millisecond)
	return syndicate.Receipt{ID: a.ID}, nil
}

func (f file) Reconcile(_ context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	lines, err := os.ReadFile(f.name)
	if os.IsNotExist(err) || err == nil && !bytes.Contains(lines, []byte(a.ID+"\n")) {
		return syndicate.Receipt{}, syndicate.ErrAbsent
	}
	return syndicate.Receipt{ID: a.ID}, err
}
