// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/onion"
)

// answers is the other end of a control connection: what tor says to each command,
// by the first words of it. The empty answer is none.
type answers map[string]string

// usual is what a tor says that wants no authentication.
func usual(more answers) answers {
	all := answers{
		"PROTOCOLINFO": "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n",
		"AUTHENTICATE": "250 OK\r\n",
	}
	maps.Copy(all, more)
	return all
}

// serve answers until the connection ends.
func (a answers) serve(conn net.Conn) {
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		answer := "510 Unrecognized command\r\n"
		for begin, text := range a {
			if strings.HasPrefix(line, begin) {
				answer = text
			}
		}
		if answer == "EOF" {
			conn.Close()
			return
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// heard collects events.
type heard struct {
	mu    sync.Mutex
	texts []string
}

func (h *heard) event(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, text)
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.texts)
}

// dial connects to answers, in a bubble.
func dial(t *testing.T, a answers, h *heard) (*onion.ControlConn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	go a.serve(theirs)
	c, err := onion.OpenControl(t.Context(), ours, "", h.event)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		theirs.Close()
		ours.Close()
		<-c.Done()
	})
	return c, theirs
}

func TestACommandIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		c, tor := dial(t, usual(answers{
			"GETINFO version": "250-version=0.4.9.11\r\n250 OK\r\n",
			"GETINFO config":  "250+config-text=\r\nSocksPort 0\r\n.\r\n250 OK\r\n",
			"ADD":             "512 Invalid argument\r\n",
			"ONION_CLIENT":    "252 Registered\r\n",
		}), h)
		lines, err := c.Ask(t.Context(), "GETINFO version")
		if err != nil || !slices.Equal(lines, []string{"version=0.4.9.11", "OK"}) {
			t.Errorf("%q, %v", lines, err)
		}
		if lines, err := c.Ask(t.Context(), "GETINFO config"); err != nil || !strings.Contains(strings.Join(lines, "\n"), "SocksPort 0") {
			t.Errorf("%q, %v", lines, err)
		}
		if _, err := c.Ask(t.Context(), "ONION_CLIENT_AUTH_ADD x"); err != nil {
			t.Error(err) // 252 is good, too
		}
		_, err = c.Ask(t.Context(), "ADD_ONION ED25519-V3:the-key")
		if err == nil || !strings.Contains(err.Error(), "ADD_ONION") || !strings.Contains(err.Error(), "512") || strings.Contains(err.Error(), "the-key") {
			t.Errorf("the error is %v", err)
		}
		if _, err := c.Ask(t.Context(), "SETCONF A\r\nSIGNAL HALT"); err == nil {
			t.Error("two commands were sent as one")
		}
		io.WriteString(tor, "650 HS_DESC UPLOADED x UNKNOWN\r\n650-STATUS_CLIENT a\r\n650 b\r\n")
		synctest.Wait()
		if got := h.all(); len(got) != 2 || got[0] != "HS_DESC UPLOADED x UNKNOWN" {
			t.Errorf("events: %q", got)
		}
	})
}

func TestManyAskAtTheSameTimeBetweenEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		a := usual(nil)
		for _, name := range []string{"A", "B", "C", "D"} {
			a["GETINFO "+name] = "650 NETWORK_LIVENESS UP\r\n250-" + name + "=" + name + "\r\n250 OK\r\n650 NETWORK_LIVENESS DOWN\r\n"
		}
		c, _ := dial(t, a, h)
		var all sync.WaitGroup
		for range 25 {
			for _, name := range []string{"A", "B", "C", "D"} {
				all.Go(func() {
					lines, err := c.Ask(t.Context(), "GETINFO "+name)
					if err != nil || lines[0] != name+"="+name {
						t.Errorf("%s: %q, %v", name, lines, err)
					}
				})
			}
		}
		all.Wait()
		synctest.Wait()
		if n := len(h.all()); n != 200 {
			t.Errorf("%d events", n)
		}
	})
}

func TestATorThatDoesNotAnswerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, usual(answers{"GETINFO": ""}), &heard{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Ask(ctx, "GETINFO process/pid"); !errors.Is(err, onion.ErrUnresponsive) {
			t.Errorf("the error is %v", err)
		}
		<-c.Done()
		if _, err := c.Ask(t.Context(), "GETINFO process/pid"); !errors.Is(err, onion.ErrControlLost) {
			t.Errorf("afterwards the error is %v", err)
		}
	})
	for step, a := range map[string]answers{
		"greeting":       usual(answers{"PROTOCOLINFO": ""}),
		"authentication": usual(answers{"AUTHENTICATE": ""}),
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go a.serve(theirs)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := onion.OpenControl(ctx, ours, "", (&heard{}).event); !errors.Is(err, onion.ErrUnresponsive) {
				t.Errorf("%s: the error is %v", step, err)
			}
		})
	}
}

func TestATorThatLiesIsLeft(t *testing.T) {
	for name, says := range map[string]string{
		"end":             "EOF",
		"no code":         "hello\r\n",
		"short":           "25\r\n",
		"codes change":    "250-a\r\n251 OK\r\n",
		"no separator":    "250xOK\r\n",
		"half a reply":    "250-a\r\n",
		"two for one":     "250 OK\r\n250 OK\r\n250 OK\r\n250 OK\r\n",
		"an endless body": "250+a=\r\nb\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			c, tor := dial(t, usual(answers{"GETINFO": says}), &heard{})
			hangUp := time.AfterFunc(time.Minute, func() { tor.Close() })
			defer hangUp.Stop()
			_, first := c.Ask(t.Context(), "GETINFO x")
			_, second := c.Ask(t.Context(), "GETINFO y")
			<-c.Done()
			if first == nil && second == nil && name != "two for one" {
				t.Errorf("%s: no error", name)
			}
			if !errors.Is(c.Err(), onion.ErrControlLost) {
				t.Errorf("%s: the connection has ended with %v", name, c.Err())
			}
		})
	}
}

func TestARefusedLoginTellsWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		go usual(answers{"AUTHENTICATE": "515 Authentication failed\r\n"}).serve(theirs)
		_, err := onion.OpenControl(t.Context(), ours, "hush", (&heard{}).event)
		if err == nil || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "hush") {
			t.Errorf("the error is %v", err)
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add("250 OK\r\n", "650 HS_DESC UPLOADED a b\r\n")
	f.Add("250-a=\"b\\\"c\"\r\n250 OK\r\n", "650-STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=14 TAG=\"x y\"\r\n650 OK\r\n")
	f.Add("250+a=\r\nb\r\n..\r\n.\r\n250 OK\r\n", "650 NETWORK_LIVENESS DOWN\r\n")
	f.Fuzz(func(t *testing.T, reply, event string) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			defer theirs.Close()
			usual(answers{"GETINFO": "EOF"}).serve(saysLast{theirs, event + reply})
		}()
		c, err := onion.OpenControl(t.Context(), ours, "", func(text string) { onion.ParseEvent(text) })
		if err != nil {
			t.Fatal(err)
		}
		c.Ask(t.Context(), "GETINFO a")
		<-c.Done()
		onion.ParseEvent(event)
		onion.ParseEvent(reply)
	})
}

// saysLast is a connection that says something before it is closed.
type saysLast struct {
	net.Conn
	words string
}

func (c saysLast) Close() error {
	io.WriteString(c.Conn, c.words)
	return c.Conn.Close()
}
