// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"net"
)

// Info tells how a request came.
type Info struct {
	// Address is that of the service.
	Address Address
	// Port is the port of the address that the visitor has asked for.
	Port int
	// Circuit numbers the circuit that the request came by; 0 if circuits are not
	// told apart. A visitor has a new one every ten minutes or so, and at will.
	Circuit uint64
}

type infoKey struct{}

// ConnContext is for [net/http.Server.ConnContext] of a server with a listener of
// a [Service]: the requests of that server are known as having come over Tor by
// [FromContext]. Nothing that a visitor sends, such as the Host field, decides
// about that.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if i, ok := c.(interface{ Info() Info }); ok {
		return WithInfo(ctx, i.Info())
	}
	return ctx
}

// WithInfo returns a context for requests that came over Tor, for services that
// something else runs.
func WithInfo(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

// FromContext tells how the request of a context came; ok is false if it did not
// come over Tor.
func FromContext(ctx context.Context) (info Info, ok bool) {
	info, ok = ctx.Value(infoKey{}).(Info)
	return info, ok
}
