// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package irc_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/irc"
)

// piped returns a target whose server is a function at the other end of a pipe,
// which gets the lines of the client and writes what it likes. All goroutines are
// in a synctest bubble, which fails if one is left.
func piped(t testing.TB, cfg irc.Config, serve func(lines *bufio.Scanner, w io.Writer)) *irc.Target {
	t.Helper()
	cfg.Server, cfg.Insecure, cfg.Nick, cfg.Channel = "irc.example", true, "blog", "#blog"
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(bufio.NewScanner(server), server)
		}()
		return client, nil
	}
	target, err := irc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// say sends a message with a minute's patience, and returns the error.
func say(t testing.TB, target *irc.Target, message string) error {
	t.Helper()
	body, err := json.Marshal(map[string]string{"channel": "#blog", "text": message})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	_, err = target.Send(ctx, syndicate.Attempt{Key: strings.Repeat("0123abcd", 4), Number: 1, Body: body})
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("it took %s", took)
	}
	return err
}

// poorServer welcomes everybody, answers to pings, and tells of each line.
func poorServer(told func(line string)) func(*bufio.Scanner, io.Writer) {
	return func(lines *bufio.Scanner, w io.Writer) {
		for lines.Scan() {
			line := lines.Text()
			told(line)
			command, rest, _ := strings.Cut(line, " ")
			switch command {
			case "USER":
				fmt.Fprint(w, ":irc.example 001 blog :Welcome\r\n")
			case "JOIN":
				fmt.Fprintf(w, ":blog!blog@host JOIN %s\r\n", rest)
			case "PING":
				fmt.Fprintf(w, ":irc.example PONG irc.example %s\r\n", rest)
			case "QUIT":
				return
			}
		}
	}
}

func TestServersThatFloodOrAreSilentDoNotHoldUs(t *testing.T) {
	for name, serve := range map[string]func(*bufio.Scanner, io.Writer){
		"silent":         func(lines *bufio.Scanner, _ io.Writer) { drainLines(lines) },
		"does not read":  func(*bufio.Scanner, io.Writer) { <-time.After(10 * time.Minute) },
		"hangs up":       func(*bufio.Scanner, io.Writer) {},
		"one long line":  func(lines *bufio.Scanner, w io.Writer) { go drainLines(lines); flood(w, "x") },
		"only notices":   func(lines *bufio.Scanner, w io.Writer) { go drainLines(lines); flood(w, "NOTICE * :hello\r\n") },
		"only pings":     func(lines *bufio.Scanner, w io.Writer) { go drainLines(lines); flood(w, "PING :x\r\n") },
		"CAP LS for all": func(lines *bufio.Scanner, w io.Writer) { go drainLines(lines); flood(w, "CAP * LS * :a b=c\r\n") },
		"nick in use":    func(lines *bufio.Scanner, w io.Writer) { go drainLines(lines); flood(w, "433 * blog :no\r\n") },
		"ERROR":          func(lines *bufio.Scanner, w io.Writer) { go drainLines(lines); fmt.Fprint(w, "ERROR :go away\r\n") },
		"welcomes only": func(lines *bufio.Scanner, w io.Writer) {
			go drainLines(lines)
			fmt.Fprint(w, ":irc.example 001 blog :Welcome\r\n")
			<-time.After(10 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := piped(t, irc.Config{}, serve)
				e, ok := errors.AsType[*syndicate.Error](say(t, target, "hello https://me.example/"))
				if !ok || !e.NotSent {
					t.Errorf("error %v, want one of NotSent", e)
				}
				// Nor does one that stays connected.
				stay := piped(t, irc.Config{Stay: true}, serve)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				if err := stay.Run(ctx); ctx.Err() == nil {
					t.Errorf("Run = %v", err)
				}
				<-time.After(time.Hour) // by then the servers have ended
			})
		})
	}
}

func drainLines(lines *bufio.Scanner) {
	for lines.Scan() {
	}
}

// flood writes without end, or a day's worth: time passes only in pauses.
func flood(w io.Writer, line string) {
	text := strings.Repeat(line, 100)
	for range 2000 {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func TestPasswordsOfAnyLengthAreSentInParts(t *testing.T) {
	// As base64 these have 396, 400, 404, 796, 800 and 804 bytes.
	for _, length := range []int{297, 300, 303, 597, 600, 603} {
		synctest.Test(t, func(t *testing.T) {
			var proof strings.Builder
			var parts []int
			welcome := poorServer(func(string) {})
			target := piped(t, irc.Config{Account: "blog", Password: syndicate.Secret(strings.Repeat("p", length-len("blog\x00blog\x00")))}, func(lines *bufio.Scanner, w io.Writer) {
				for lines.Scan() {
					command, rest, _ := strings.Cut(lines.Text(), " ")
					switch {
					case command == "CAP" && strings.HasPrefix(rest, "LS"):
						fmt.Fprint(w, "CAP * LS * :multi-prefix batch\r\nCAP * LS * :sas\r\nCAP * LS :sasl=EXTERNAL,PLAIN cap-notify\r\n")
					case command == "CAP" && strings.HasPrefix(rest, "REQ"):
						fmt.Fprint(w, "CAP * ACK "+strings.TrimPrefix(rest, "REQ ")+"\r\n")
					case command == "AUTHENTICATE" && rest == "PLAIN":
						fmt.Fprint(w, "AUTHENTICATE +\r\n")
					case command == "AUTHENTICATE":
						parts = append(parts, len(rest))
						proof.WriteString(strings.TrimPrefix(rest, "+"))
						if len(rest) < 400 {
							fmt.Fprint(w, ":irc.example 903 blog :ok\r\n")
						}
					case command == "CAP" && rest == "END":
						fmt.Fprint(w, ":irc.example 001 blog :Welcome\r\n")
						welcome(lines, w)
						return
					}
				}
			})
			if err := say(t, target, "hello"); err != nil {
				t.Errorf("%d: %v", length, err)
			}
			got, err := base64.StdEncoding.DecodeString(proof.String())
			if err != nil || len(got) != length {
				t.Errorf("%d: the proof has %d bytes in parts of %v, %v", length, len(got), parts, err)
			}
		})
	}
}

// Whatever a server says, nothing panics, hangs or is left behind, and only one
// that has seen the message before its answer is believed.
func FuzzServer(f *testing.F) {
	f.Add("CAP * LS :sasl echo-message labeled-response batch\r\nCAP * ACK :echo-message\r\n:x 001 blog :hi\r\n:blog!u@h JOIN #blog\r\n:blog!u@h PRIVMSG #blog :hello\r\n", false)
	f.Add(":x 001\r\n:blog JOIN\r\n:x 404 blog #blog :no\r\n", true)
	f.Add("@label=x;msgid=\\ :blog!u@h PRIVMSG #blog\r\nPING\r\nERROR\r\nCAP\r\nCAP * LS\r\nAUTHENTICATE\r\n\x00\r\n: \r\n@ \r\n", true)
	f.Add("433\r\n432\r\n001 "+strings.Repeat("x", 600)+"\r\nPING "+strings.Repeat("y ", 600)+"\r\n", false)
	f.Fuzz(func(t *testing.T, lines string, account bool) {
		synctest.Test(t, func(t *testing.T) {
			cfg := irc.Config{NickServ: true}
			if account {
				cfg.Account, cfg.Password = "blog", "5ecret-password"
			}
			heard := make(chan bool, 1)
			target := piped(t, cfg, func(in *bufio.Scanner, w io.Writer) {
				go func() {
					said := false
					for in.Scan() {
						said = said || strings.Contains(in.Text(), "PRIVMSG #blog")
					}
					select {
					case heard <- said:
					default:
					}
				}()
				io.WriteString(w, lines)
				<-time.After(time.Second)
			})
			err := say(t, target, "hello https://me.example/")
			<-time.After(time.Minute)
			if err == nil && !<-heard {
				t.Errorf("believed what was never said: %q", lines)
			}
			if err != nil && strings.Contains(err.Error(), "5ecret") {
				t.Errorf("the password is in %v", err)
			}
		})
	})
}

// FuzzLine has any title come out as one line that arrives whole.
func FuzzLine(f *testing.F) {
	f.Add("Hello\r\nQUIT", "warn\x01", "https://me.example/a?b=1&c=2#d")
	f.Add(strings.Repeat("👩‍👩‍👧‍👦", 200), "", "https://me.example/"+strings.Repeat("x", 200))
	f.Add("\x0304,12Red\x0f \u202e right \u2028", "\x02", "https://me.example/")
	f.Fuzz(func(t *testing.T, title, warning, link string) {
		post := syndicate.Post{ID: "1", URL: link, Title: "x"}
		if post.Validate() != nil || len(link) > 300 {
			return
		}
		target, err := irc.New(irc.Config{Server: "irc.example", Nick: "blog", Channel: "#blog"})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := target.Compose(t.Context(), syndicate.Message{Post: post, Text: title + " :: " + link, Link: link, ContentWarning: warning})
		if err != nil {
			t.Fatalf("%q: %v", title, err)
		}
		var body struct{ Text string }
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Fatal(err)
		}
		// The longest that others get: RFC 2812 2.3 with a host of 63 bytes.
		line := ":blog__!" + strings.Repeat("u", 11) + "@" + strings.Repeat("h", 63) + " PRIVMSG #blog :" + body.Text + "\r\n"
		if len(line) > 512 {
			t.Errorf("%d bytes: %q", len(line), line)
		}
		if strings.ContainsFunc(body.Text, unicode.IsControl) {
			t.Errorf("control characters in %q", body.Text)
		}
		if !strings.Contains(body.Text, link) {
			t.Errorf("%q has not got the link %q", body.Text, link)
		}
	})
}
