// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"encoding/binary"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const getToken = "/twirp/xeiaso.net.admin.v1.PatreonService/GetToken"

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// call makes a call as an old client does, but for the bearer token.
func (o *office) call(target, media, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	r.Header.Set("Authorization", "Bearer "+bearerToken.Reveal())
	return o.send(r)
}

// goldenToken is a PatreonToken, byte by byte. Each length is below 128.
func goldenToken(access string, seconds uint64, nanos uint64) string {
	stamp := binary.AppendUvarint([]byte{0x08}, seconds)
	if nanos != 0 {
		stamp = binary.AppendUvarint(append(stamp, 0x10), nanos)
	}
	return "\x0a" + string(rune(len(access))) + access +
		"\x12\x06Bearer" +
		"\x22" + string(rune(len(stamp))) + string(stamp)
}

func TestOldClientsGetTheTokenInBothForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		token := o.good()
		if len(token.Access.Reveal()) > 127 {
			t.Fatal("the token is too long for the golden bytes")
		}
		pass(123456789 * time.Nanosecond)
		// The clock of a bubble begins at 2000-01-01, which is 946684800.
		const seconds = 946684800 + 600
		for _, target := range []string{getToken, "/twirp/xeiaso.net.admin.v1.Patreon/GetToken"} {
			w := o.call(target, "application/protobuf", "")
			if want := goldenToken(token.Access.Reveal(), seconds, 123456789); w.Body.String() != want || w.Header().Get("Content-Type") != "application/protobuf" {
				t.Errorf("%s: %d %q, want %q", target, w.Code, w.Body, want)
			}
			w = o.call(target, "application/json; charset=utf-8", "{}")
			want := `{"access_token":"` + token.Access.Reveal() + `","token_type":"Bearer","refresh_token":"","expiry":"2000-01-01T00:10:00.123456789Z"}` + "\n"
			if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Header().Get("Content-Type") != "application/json" {
				t.Error(diff)
			}
		}
		// Near its end, the token's own end is told; whole seconds have no nanos.
		pass(time.Until(token.Expires) - 3*time.Minute)
		o.fake.Random(1, 1, patreontest.Fault{Kind: patreontest.ServerError})
		w := o.call(getToken, "application/protobuf", "")
		if want := goldenToken(token.Access.Reveal(), uint64(token.Expires.Unix()), 0); w.Body.String() != want {
			t.Errorf("%d %q, want %q", w.Code, w.Body, want)
		}
	})
}

func TestErrorsForOldClientsAreThoseOfTwirp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		o.good()
		expectTwirp := func(w *httptest.ResponseRecorder, status int, code string) {
			t.Helper()
			got := into[map[string]string](t, w)
			if w.Code != status || got["code"] != code || got["msg"] == "" || len(got) != 2 || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %v, want %d %s", w.Code, got, status, code)
			}
		}
		expectTwirp(o.call(getToken, "text/plain", "{}"), 404, "bad_route")
		expectTwirp(o.call(getToken, "", "{}"), 404, "bad_route")
		expectTwirp(o.call(getToken, "application/json", "{"), 400, "malformed")
		expectTwirp(o.call(getToken, "application/json", "[]"), 400, "malformed")
		expectTwirp(o.call(getToken, "application/protobuf", strings.Repeat("x", 1<<20)), 400, "malformed")
		expectTwirp(o.call("/twirp/xeiaso.net.admin.v1.PatreonService/Other", "application/json", "{}"), 404, "bad_route")
		expectTwirp(o.ask("GET", getToken, ""), 404, "bad_route")
		r := httptest.NewRequest("POST", getToken, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		expectTwirp(o.send(r), 401, "unauthenticated")
		o.rig.seed() // ends the lineage
		pass(40 * 24 * time.Hour)
		expectTwirp(o.call(getToken, "application/protobuf", ""), 503, "unavailable")
	})
}

func TestTheOldFormIsNotServedUnlessItIsAskedFor(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, func(cfg *patreon.TokenServerConfig) { cfg.Twirp = false })
	o.good()
	if w := o.call(getToken, "application/json", "{}"); w.Code != 404 || strings.Contains(w.Body.String(), "access") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
