// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
	"xeiaso.net/site/xesite/state"
)

// created is the time that all announcements of the tests are made at.
var created = time.Date(2026, time.March, 4, 5, 6, 7, 890_000_000, time.UTC)

// newTarget returns a target for an account, as config has it otherwise.
func newTarget(t *testing.T, server *pds.Server, a *pds.Account, config bluesky.Config) *bluesky.Target {
	t.Helper()
	if config.PDS == "" {
		config.PDS = server.URL
	}
	config.Handle = a.Handle
	if config.AppPassword == "" {
		config.AppPassword = syndicate.Secret(a.AppPassword)
	}
	if config.Client == nil {
		config.Client = &http.Client{Transport: strict(t), Timeout: 30 * time.Second}
	}
	target, err := bluesky.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// note is a post without a page: nothing is fetched for it.
func note(id, text string) syndicate.Message {
	return syndicate.Message{Post: syndicate.Post{ID: id, Title: text}, Text: text, Language: "en"}
}

// attempt composes a message, and returns the first attempt at it.
func attempt(t *testing.T, target *bluesky.Target, m syndicate.Message) syndicate.Attempt {
	t.Helper()
	body, err := target.Compose(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return syndicate.Attempt{
		Target: "bluesky", ID: m.Post.ID, URL: m.Post.URL, Aliases: m.Post.Aliases,
		Link: m.Link, Body: body, Created: created, Number: 1,
	}
}

// send announces a message, and ends the test if that fails.
func send(t *testing.T, target *bluesky.Target, m syndicate.Message) syndicate.Receipt {
	t.Helper()
	r, err := target.Send(t.Context(), attempt(t, target, m))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// record is a post as it comes from the server, read by other means than those
// of the package.
type record struct {
	Text   string
	Facets []struct {
		Index    struct{ ByteStart, ByteEnd int }
		Features []struct {
			Type string `json:"$type"`
			URI  string
			Tag  string
		}
	}
	Embed struct {
		Type     string `json:"$type"`
		External struct {
			URI, Title, Description string
			Thumb                   struct {
				Ref struct {
					Link string `json:"$link"`
				}
				MimeType string
				Size     int
			}
		}
	}
	Langs, Tags []string
	Labels      json.RawMessage
	CreatedAt   string
	Extra       string
}

// only returns the one post that an account has, and ends the test if it has
// none or several.
func only(t *testing.T, server *pds.Server, a *pds.Account) (pds.Record, record) {
	t.Helper()
	all := server.Records(t, a.DID)
	if len(all) != 1 {
		t.Fatalf("the account has %d posts, want one: %s", len(all), all)
	}
	var r record
	if err := json.Unmarshal(all[0].Value, &r); err != nil {
		t.Fatal(err)
	}
	return all[0], r
}

// parts are the parts of a text that facets point at, with what they mean.
func (r record) parts(t *testing.T) map[string]string {
	t.Helper()
	parts := map[string]string{}
	for _, f := range r.Facets {
		if f.Index.ByteStart < 0 || f.Index.ByteEnd > len(r.Text) || f.Index.ByteStart >= f.Index.ByteEnd || len(f.Features) != 1 {
			t.Fatalf("a facet points beside the text: %+v", f)
		}
		parts[r.Text[f.Index.ByteStart:f.Index.ByteEnd]] = f.Features[0].URI + f.Features[0].Tag
	}
	return parts
}

// site starts a web site of some pages: content by path.
func site(t *testing.T, pages map[string][]byte) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(content)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// noise is a picture that cannot be compressed.
func noise(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	random := rand.New(rand.NewPCG(1, uint64(w)))
	for i := range img.Pix {
		img.Pix[i] = uint8(random.Uint32())
	}
	return encode(t, img)
}

// plain is a picture of one colour.
func plain(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.SetNRGBA(i%w, i/w, color.NRGBA{200, 100, 50, 255})
	}
	return encode(t, img)
}

func encode(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// promises returns what an error says about an attempt, without its text.
func promises(err error) syndicate.Error {
	e, ok := errors.AsType[*syndicate.Error](err)
	if !ok {
		return syndicate.Error{}
	}
	return syndicate.Error{NotSent: e.NotSent, Refused: e.Refused, Everything: e.Everything, RetryAfter: e.RetryAfter}
}

// inMemory returns a store, and the key of the session that is in it.
func storedSession(t *testing.T, store syndicate.Store) (key string, session map[string]string) {
	t.Helper()
	keys, err := store.Keys(t.Context(), "syndicate/bluesky/")
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %q, error %v: want one", keys, err)
	}
	raw, err := store.Load(t.Context(), keys[0])
	if err == nil {
		err = json.Unmarshal(raw, &session)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys[0], session
}

// changeSession replaces fields of the stored session.
func changeSession(t *testing.T, store syndicate.Store, change map[string]string) {
	t.Helper()
	key, session := storedSession(t, store)
	old, err := store.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(session, change)
	raw, err := json.Marshal(session)
	if err != nil {
		t.Fatal(err)
	}
	if won, err := store.Swap(t.Context(), key, old, raw); err != nil || !won {
		t.Fatalf("swap: %t, %v", won, err)
	}
}

func newStore(t *testing.T) syndicate.Store {
	t.Helper()
	store, err := state.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// count returns how many of the lines begin so.
func count(lines []string, prefix string) int {
	n := 0
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}
