// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"io"
	"math"
	"mime"
	"net/http"
	"time"
)

// twirpServices are the names that the service had.
var twirpServices = []string{"xeiaso.net.admin.v1.PatreonService", "xeiaso.net.admin.v1.Patreon"}

// twirpExpiry is when clients of the old form are told that a token ends, at the
// latest. They ask for no other before that, whatever becomes of the token.
const twirpExpiry = 10 * time.Minute

// twirp serves GetToken of the service that this one replaces, in both forms of
// the Twirp wire protocol, version 7:
// https://twitchtv.github.io/twirp/docs/spec_v7.html. The message is
//
//	PatreonToken { string access_token = 1; string token_type = 2;
//	               string refresh_token = 3; google.protobuf.Timestamp expiry = 4; }
//
// with refresh_token left empty.
func (s *TokenServer) twirp(w http.ResponseWriter, r *http.Request) int {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	var empty map[string]any
	switch {
	case media != "application/json" && media != "application/protobuf":
		return twirpError(w, http.StatusNotFound, "bad_route", "the content type is neither application/json nor application/protobuf")
	case err != nil, media == "application/json" && json.Unmarshal(body, &empty) != nil:
		return twirpError(w, http.StatusBadRequest, "malformed", "the request cannot be read")
	}
	t, err := s.cfg.Keeper.Token(r.Context())
	if err != nil {
		s.log.WarnContext(r.Context(), "patreon: no token can be given out", "err", err)
		return twirpError(w, http.StatusServiceUnavailable, "unavailable", "there is no token at present")
	}
	expiry := t.Expires
	if soon := time.Now().Add(twirpExpiry); expiry.After(soon) {
		expiry = soon
	}
	if media == "application/json" {
		return answerJSON(w, http.StatusOK, struct {
			AccessToken  string    `json:"access_token"`
			TokenType    string    `json:"token_type"`
			RefreshToken string    `json:"refresh_token"`
			Expiry       time.Time `json:"expiry"`
		}{t.Access.Reveal(), "Bearer", "", expiry.UTC()})
	}
	w.Header().Set("Content-Type", media)
	w.Write(twirpToken(t.Access.Reveal(), "Bearer", expiry))
	return http.StatusOK
}

// twirpToken encodes a PatreonToken as https://protobuf.dev/programming-guides/encoding/
// has it.
func twirpToken(access, kind string, expiry time.Time) []byte {
	var stamp []byte
	stamp = appendVarint(stamp, 1, uint64(expiry.Unix()))
	stamp = appendVarint(stamp, 2, uint64(expiry.Nanosecond()))
	var b []byte
	b = appendBytes(b, 1, []byte(access))
	b = appendBytes(b, 2, []byte(kind))
	return appendBytes(b, 4, stamp)
}

// appendVarint appends a field of the wire type 0. Zero is not written.
func appendVarint(b []byte, field int, v uint64) []byte {
	if v == 0 {
		return b
	}
	return varint(varint(b, uint64(field)<<3), v)
}

// appendBytes appends a field of the wire type 2.
func appendBytes(b []byte, field int, v []byte) []byte {
	return append(varint(varint(b, uint64(field)<<3|2), uint64(len(v))), v...)
}

func varint(b []byte, v uint64) []byte {
	for ; v > math.MaxInt8; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// noRoute answers what is no call of GetToken.
func noRoute(w http.ResponseWriter, _ *http.Request) int {
	return twirpError(w, http.StatusNotFound, "bad_route", "the only method is GetToken, and it is called with POST")
}

func twirpError(w http.ResponseWriter, status int, code, msg string) int {
	return answerJSON(w, status, map[string]string{"code": code, "msg": msg})
}
