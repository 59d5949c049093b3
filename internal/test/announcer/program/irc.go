// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/irc"
)

// ircConfig is where a server is, without TLS, and a channel of it.
type ircConfig struct{ Server, Channel string }

func ircNetwork() network {
	return network{
		target: func(config json.RawMessage, _ syndicate.Store) (syndicate.Target, error) {
			var c ircConfig
			if err := json.Unmarshal(config, &c); err != nil {
				return nil, err
			}
			return irc.New(irc.Config{Server: c.Server, Channel: c.Channel, Nick: "blog", Insecure: true, Pace: time.Millisecond})
		},
		naive: naiveIRC,
	}
}

// naiveIRC says it and gives the server some time, as bots do that do not ask
// whether it has arrived, and then says goodbye in good order.
func naiveIRC(ctx context.Context, config json.RawMessage, p syndicate.Post) error {
	var c ircConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Server)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "NICK b%d\r\nUSER blog 0 * :blog\r\n", time.Now().UnixNano()%1e6)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "PING "):
			fmt.Fprintf(conn, "PONG %s\r\n", line[5:])
		case strings.Contains(line, " 001 "):
			fmt.Fprintf(conn, "JOIN %s\r\n", c.Channel)
		case strings.Contains(line, " JOIN "):
			fmt.Fprintf(conn, "PRIVMSG %s :%s :: %s\r\n", c.Channel, p.Title, p.URL)
			<-time.After(300 * time.Millisecond)
			fmt.Fprint(conn, "QUIT\r\n")
		case strings.HasPrefix(line, "ERROR "):
			return nil
		}
	}
	return errors.New("the connection ended too early")
}
