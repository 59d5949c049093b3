// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package websub tells a hub that a feed has something new, so that feed readers
// get it at once.
//
// # Overview
//
//	target, err := websub.New(websub.Config{
//		Hub:    "https://hub.example/",
//		Topics: []string{"https://me.example/blog.json"},
//	})
//
// The feed has to name the hub, in its own form or in a Link header with rel=hub,
// or nobody subscribes there.
//
// # Delivery
//
// A ping says no more than that the feed has changed, and hubs fetch it then. So
// one that may or may not have arrived is sent again, and edits are pinged as
// well.
//
// WebSub, https://www.w3.org/TR/websub/, leaves it to hubs how they are told.
// What is sent here, a form with hub.mode=publish and hub.url, is what public
// hubs take, and what section 7.1 of PubSubHubbub 0.4 has.
package websub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// Config says which hub is told about which feeds.
type Config struct {
	// Hub is the hub's address. Required.
	Hub string
	// Topics are the addresses of feeds. At least one is required.
	Topics []string
	// Client makes the requests. If nil, it is one without settings.
	Client *http.Client
}

// Target is a [syndicate.Target] that pings a hub.
type Target struct{ cfg Config }

// New returns a target. It makes no network call.
func New(cfg Config) (*Target, error) {
	errs := []error{checkAddress("Hub", cfg.Hub)}
	if len(cfg.Topics) == 0 {
		errs = append(errs, errors.New("set Topics to the address of the feed"))
	}
	for _, topic := range cfg.Topics {
		errs = append(errs, checkAddress("Topics", topic))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("websub: Config: %w", err)
	}
	return &Target{cfg}, nil
}

func checkAddress(field, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%s: %q is no address like https://example.com/", field, address)
	}
	return nil
}

// Send implements [syndicate.Target].
func (t *Target) Send(ctx context.Context, _ syndicate.Attempt) (syndicate.Receipt, error) {
	form := url.Values{"hub.mode": {"publish"}, "hub.url": t.cfg.Topics}
	name := "ping hub " + hostOf(t.cfg.Hub)
	resp, err := call.Do(ctx, t.cfg.Client, call.Request{
		Method: http.MethodPost, URL: t.cfg.Hub, Body: []byte(form.Encode()), Name: name,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})
	if err != nil {
		return syndicate.Receipt{}, err
	}
	return syndicate.Receipt{ID: "ping"}, resp.Check(name, nil)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Host
}

// Reconcile implements [syndicate.Reconciler]: nobody is hurt by a second ping.
func (t *Target) Reconcile(context.Context, syndicate.Attempt) (syndicate.Receipt, error) {
	return syndicate.Receipt{}, syndicate.ErrAbsent
}

// Edit implements [syndicate.Editor].
func (t *Target) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	_, err := t.Send(ctx, a)
	return r, err
}
