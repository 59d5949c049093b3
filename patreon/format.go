// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"fmt"
	"time"
)

// A [Secret] does not print itself. But with a verb that a value is not made
// for, such as "%s" for a pointer within a slice, package fmt prints what is in
// the value without asking any methods but its own. So each struct with a secret
// in an exported field says itself what it is.

// Format writes the generation and the end of the token, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "patreon.Token(generation %d, until %s)", t.Generation, t.Expires.Format(time.RFC3339))
}

// Format writes that this is a seed, whatever the verb.
func (s Seed) Format(f fmt.State, _ rune) {
	if s == (Seed{}) {
		fmt.Fprint(f, "patreon.Seed(none)")
		return
	}
	fmt.Fprint(f, "patreon.Seed([redacted])")
}

// Format writes the client id and the key, whatever the verb.
func (c KeeperConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "patreon.KeeperConfig(client %q, key %q)", c.ClientID, c.Key)
}

// Format writes where Patreon is, whatever the verb.
func (c ClientConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "patreon.ClientConfig(%q)", strip(c.BaseURL))
}

// Format writes where the server is, whatever the verb.
func (c RemoteConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "patreon.RemoteConfig(%q)", strip(c.URL))
}

// Format writes the address, whatever the verb. A store in memory has secrets in
// it.
func (c RegistrationConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "patreon.RegistrationConfig(%q)", strip(c.URI))
}

// Format writes id and address, whatever the verb.
func (w Webhook) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "patreon.Webhook(%s to %s)", w.ID, w.URI)
}
