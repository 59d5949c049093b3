// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

// At has a function called at each step of a refresh. It must be set before the
// keeper is used.
func (k *Keeper) At(f func(step string)) { k.at = f }
