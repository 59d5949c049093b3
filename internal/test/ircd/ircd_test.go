// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package ircd_test

import (
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/ircd"
)

func TestServersCarryWhatIsSaid(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *ircd.Server{
		"inspircd": func(t *testing.T) *ircd.Server { return ircd.InspIRCd(t, ircd.Options{}) },
		"services": func(t *testing.T) *ircd.Server { return ircd.InspIRCd(t, ircd.Options{Services: true}) },
		"ngircd":   func(t *testing.T) *ircd.Server { return ircd.Ngircd(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			if name == "services" {
				s.Register(t, "blog", "hunter2hunter2")
			}
			seen, said := s.Observe(t, "#a"), s.Client(t, "said")
			said.Say("JOIN #a")
			said.Say("PRIVMSG #a :hello there")
			seen.WaitFor(t, "hello there")
			if got := strings.Join(seen.Texts(), "|"); got != "hello there" {
				t.Errorf("texts %q", got)
			}
		})
	}
}
