// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Client is a tor with a SOCKS port. Its methods can be called concurrently.
type Client struct {
	*Tor
}

// NewClient starts a client of its own for the test, with more lines of configuration
// if wanted. It takes two to four seconds, and knows of no service yet.
func (n *Network) NewClient(t testing.TB, lines ...string) *Client {
	t.Helper()
	dir := "client-" + strings.ToLower(rand.Text()[:6])
	c, err := n.client(dir, time.Now().Add(startTimeout), lines...)
	if c != nil {
		t.Cleanup(func() { c.endWith(t) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// client starts a client, and waits until it can make circuits. It returns a client
// besides the error if there is one to end.
func (n *Network) client(name string, deadline time.Time, lines ...string) (*Client, error) {
	socks := "SocksPort unix:" + filepath.Join(n.dir, name, "socks") + " ExtendedErrors"
	node, err := launch(n.program, n.dir, name, append(append(n.Torrc(), socks), lines...))
	if err != nil {
		return nil, err
	}
	return &Client{node}, node.until(deadline, "it has circuits", func() error {
		phase, err := node.info("status/bootstrap-phase")
		if err == nil && !strings.Contains(phase, "PROGRESS=100") {
			err = fmt.Errorf("it is at %s", phase)
		}
		return err
	})
}

// Dial connects to an address, "name.onion:80". Connections of different users have
// different circuits; a user has a name of 1 to 255 bytes. If the proxy refuses, the error is a [SOCKSError].
func (c *Client) Dial(ctx context.Context, user, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(c.Dir, "socks"))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = connect(conn, user, address)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return conn, nil
}

// Transport returns one whose requests are those of a user: see [Client.Dial]. What
// it keeps open is closed by its CloseIdleConnections.
func (c *Client) Transport(user string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return c.Dial(ctx, user, address)
	}}
}

// HTTPClient returns a client with such a transport, until the test ends. It follows
// no redirects.
func (c *Client) HTTPClient(t testing.TB, user string) *http.Client {
	transport := c.Transport(user)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Fetch gets a URL, see [Client.Do].
func (c *Client) Fetch(t testing.TB, url string) (resp *http.Response, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(t, req)
}

const (
	tryTimeout = 20 * time.Second
	allTimeout = 120 * time.Second
)

// Do sends a request until there is an answer, whatever it says, and ends the test if
// there is none within two minutes: a service is found only some time after it has
// been published, or has come back. Each try has 20 seconds, and a circuit of its own.
// The request must have no body, or one that can be had again.
func (c *Client) Do(t testing.TB, req *http.Request) (resp *http.Response, body []byte) {
	t.Helper()
	deadline := time.After(allTimeout)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, body, err := c.try(req)
		if err == nil {
			return resp, body
		}
		t.Logf("%v: trying again", err)
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: no answer within %v", req.URL, allTimeout)
		case <-req.Context().Done():
			t.Fatal(req.Context().Err())
		}
	}
}

func (c *Client) try(req *http.Request) (resp *http.Response, body []byte, err error) {
	ctx, cancel := context.WithTimeout(req.Context(), tryTimeout)
	defer cancel()
	req = req.Clone(ctx)
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, nil, err
		}
	}
	transport := c.Transport(rand.Text())
	defer transport.CloseIdleConnections()
	if resp, err = transport.RoundTrip(req); err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp, body, err
}
