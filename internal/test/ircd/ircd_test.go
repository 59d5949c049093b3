// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package ircd_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/ircd"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
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

// childEnv makes this test binary start servers, and wait to be killed.
const childEnv = "IRCD_TEST_CHILD"

func TestServersEndWithAKilledTest(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		s := ircd.Ngircd(t)
		fmt.Printf("server %s\n", s.Plain)
		select {}
	}
	need.Program(t, "ngircd", "apt-get install ngircd")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestServersEndWithAKilledTest$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	for lines := bufio.NewScanner(stdout); address == "" && lines.Scan(); {
		address, _ = strings.CutPrefix(lines.Text(), "server ")
		if !strings.HasPrefix(lines.Text(), "server ") {
			address = ""
		}
	}
	if address == "" {
		t.Fatal("the child has started no server")
	}
	cmd.Process.Kill()
	cmd.Wait()
	wait.Until(t, "nobody listens any more", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}
