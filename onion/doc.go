// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package onion serves a site as a Tor onion service that stays up, keeps its
// address, and tells nobody about its visitors.
//
//	err := onion.Serve(ctx, onion.Config{Dir: "var/onion"}, handler)
//
// Tor itself is a program that has to be installed; this package runs it, watches
// it, and runs it again. Any server of net/http can be the one behind a service:
//
//	service, err := onion.New(onion.Config{Dir: "var/onion", Logger: logger})
//	if err != nil {
//		return err
//	}
//	logger.Info("the site has an address on Tor", "url", service.Address().URL())
//	go service.Run(ctx)
//	server := &http.Server{Handler: handler, ConnContext: onion.ConnContext}
//	return server.Serve(service.Listener())
//
// # The key
//
// The address is made of a key, which is in [Config.Dir]. It is made at the first
// start, and never replaced. Its file has tor's own form: that of another service,
// or one from a program that looks for addresses with a name in them, can be put in
// its place before, by [WriteKey]. A key is used in one [Mode] only: who has seen
// where a [SingleHop] service was, would know where the [Anonymous] one is.
//
// # What goes wrong
//
// The listener belongs to this process, and tor connects to it. So a tor that
// crashes, hangs or loses its network costs the visitors of that moment, and nothing
// else: it is ended, and started again after a pause that grows. [Service.State] says
// how things are, and [Service.States] tells each change. A service is [Ready] once a
// directory of the network has taken its descriptor, by which visitors find it.
// Errors that only a person can mend end [Service.Run].
//
// Tor ends when this process does, even when that is killed.
//
// # Who comes over Tor
//
// A request has come over Tor if its connection has: [FromContext] tells, for a
// server with [ConnContext]. What the request says of itself is not asked. [Private]
// keeps such visitors from being led away, or written about; [Location] tells
// visitors on the clearnet of the service, while it works.
//
// Visitors have no address. With [Config.Circuits], connections of one circuit are
// known as such, and [CircuitLimits] bounds what one circuit may do.
//
// # A tor that runs already
//
// With [Config.Control], a service is added to a tor that something else runs. That
// tor is neither configured nor ended, and has to reach a port on this machine, which
// other programs here can reach, too.
//
// Package xeiaso.net/site/onion/metrics has metrics for Prometheus.
package onion
