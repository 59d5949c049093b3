// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

// page is a message about a page of a site, and optionally a picture of it.
func page(home, image string) syndicate.Message {
	m := note(home+image, "Hello")
	m.Post.URL, m.Link, m.Post.Image.URL = home+"/post", home+"/post", image
	return m
}

// pngChunk makes a part of a PNG file.
func pngChunk(kind string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// bomb is a small file that claims to be a large picture.
func bomb(w, h uint32) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	return append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(header, 8, 2, 0, 0, 0))...)
}

// animated is a PNG file of two frames, which has a media type of its own.
func animated(t testing.TB) []byte {
	still := plain(t, 10, 10)
	const header = 8 + 25
	return append(append(still[:header:header], pngChunk("acTL", []byte{0, 0, 0, 1, 0, 0, 0, 0})...), still[header:]...)
}

// webp is a picture of one pixel.
func webp(t testing.TB) []byte {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString("UklGRiIAAABXRUJQVlA4TBEAAAAvAAAAAAfQ//73v/+BiOh/AAA=")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func still(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	img := image.NewPaletted(image.Rect(0, 0, 10, 10), color.Palette{color.White, color.Black})
	if err := gif.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What the server takes, and as what.
func TestPicturesOfAllKindsAreTaken(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	for name, tt := range map[string]struct {
		picture  []byte
		mimeType string
		same     bool
	}{
		"png":        {plain(t, 1200, 630), "image/png", true},
		"gif":        {still(t), "image/gif", true},
		"webp":       {webp(t), "image/webp", true},
		"animation":  {animated(t), "image/apng", true},
		"large":      {noise(t, 700, 500), "image/jpeg", false},
		"very large": {noise(t, 100, 4000), "image/jpeg", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			home := site(t, map[string][]byte{"/picture": tt.picture})
			target := newTarget(t, server, account, bluesky.Config{})
			m := page(home, home+"/picture")
			if a, b := attempt(t, target, m), attempt(t, target, m); !bytes.Equal(a.Body, b.Body) {
				t.Errorf("two bodies of one message:\n%s\n%s", a.Body, b.Body)
			}
			send(t, target, m)
			_, got := only(t, server, account)
			thumb := got.Embed.External.Thumb
			if thumb.Ref.Link == "" || thumb.MimeType != tt.mimeType {
				t.Fatalf("picture %+v, want %s", thumb, tt.mimeType)
			}
			content := server.Blob(t, account.DID, thumb.Ref.Link)
			if len(content) != thumb.Size || len(content) > 1_000_000 || bytes.Equal(content, tt.picture) != tt.same {
				t.Errorf("%d bytes, and %d in the record; the same: %t", len(content), thumb.Size, bytes.Equal(content, tt.picture))
			}
		})
	}
}

func TestNoPictureStopsAPost(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	large := append(plain(t, 10, 10), make([]byte, 17<<20)...)
	home := site(t, map[string][]byte{
		"/text": []byte("Hello"), "/empty": {}, "/svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`),
		"/bomb": bomb(60000, 60000), "/thin": bomb(1<<31-1, 1), "/cut": noise(t, 600, 600)[:1_100_000], "/large": large,
	})
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer loop.Close()
	for name, address := range map[string]string{
		"text": home + "/text", "empty": home + "/empty", "svg": home + "/svg", "bomb": home + "/bomb", "thin": home + "/thin",
		"cut": home + "/cut", "large": home + "/large", "missing": home + "/missing", "loop": loop.URL,
		"gone": "http://127.0.0.1:1/", "scheme": "file:///etc/hostname", "nonsense": "::",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			var log bytes.Buffer
			target := newTarget(t, server, account, bluesky.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			send(t, target, page(home, address))
			_, got := only(t, server, account)
			if card := got.Embed.External; card.URI != home+"/post" || card.Thumb.Size != 0 {
				t.Errorf("card %+v", card)
			}
			if !strings.Contains(log.String(), "the card has no picture") {
				t.Errorf("the log does not say so: %q", log.String())
			}
		})
	}
}

func TestPagesPictureReplacesOneThatIsMissing(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	picture := plain(t, 50, 50)
	home := site(t, map[string][]byte{"/post": []byte(`<meta property=og:image content=/b>`), "/b": picture})
	send(t, newTarget(t, server, account, bluesky.Config{}), page(home, home+"/a"))
	_, got := only(t, server, account)
	if got.Embed.External.Thumb.Ref.Link != bluesky.BlobCID(picture) {
		t.Errorf("card %+v", got.Embed.External)
	}
}

// A foreign page must not make this machine ask its neighbours.
func TestForeignPagesDoNotReachPrivateAddresses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	neighbour := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Write(plain(t, 10, 10))
	}))
	defer neighbour.Close()
	u, err := url.Parse(neighbour.URL)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := "http://localhost:" + u.Port() + "/secret"
	home := site(t, map[string][]byte{"/post": []byte(`<meta property="og:image" content="` + elsewhere + `">`)})
	redirects := httptest.NewServer(http.RedirectHandler(elsewhere, http.StatusFound))
	defer redirects.Close()
	target, err := bluesky.New(bluesky.Config{Handle: "me.test", AppPassword: "x"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := page(neighbour.URL, neighbour.URL+"/picture")
	foreign.Post.External = true
	for _, m := range []syndicate.Message{page(home, ""), page(home, elsewhere), page(redirects.URL, redirects.URL), foreign} {
		if body := string(attempt(t, target, m).Body); strings.Contains(body, "thumb") {
			t.Errorf("there is a picture: %s", body)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the neighbour was asked %d times", n)
	}
	// Whoever sets a client decides alone.
	trusting, err := bluesky.New(bluesky.Config{Handle: "me.test", AppPassword: "x", Pictures: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	if body := string(attempt(t, trusting, foreign).Body); !strings.Contains(body, "thumb") {
		t.Errorf("there is no picture: %s", body)
	}
}

// What was shown in a preview is what is sent, or no picture at all.
func TestPictureIsTheComposedOneAfterARestart(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	for name, changed := range map[string]bool{"same": false, "changed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			pages := map[string][]byte{"/a": plain(t, 50, 50)}
			home := site(t, pages)
			a := attempt(t, newTarget(t, server, account, bluesky.Config{}), page(home, home+"/a"))
			if changed {
				pages["/a"] = plain(t, 60, 60)
			}
			if _, err := newTarget(t, server, account, bluesky.Config{}).Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			_, got := only(t, server, account)
			if has := got.Embed.External.Thumb.Size > 0; has == changed {
				t.Errorf("the picture changed: %t; it was sent: %t", changed, has)
			}
		})
	}
}

// A server that takes no pictures gets the post without.
func TestRefusedPictureIsLeftOut(t *testing.T) {
	t.Parallel()
	home := site(t, map[string][]byte{"/a": plain(t, 50, 50)})
	for _, refusing := range []string{"uploadBlob", "putRecord"} {
		var sent []byte
		server := scripted{
			"createSession": says(200, session),
			"uploadBlob":    says(200, `{"blob":{"$type":"blob","ref":{"$link":"`+bluesky.BlobCID(plain(t, 50, 50))+`"},"mimeType":"image/png","size":1}}`),
			"putRecord": func(w http.ResponseWriter, r *http.Request) {
				var b bytes.Buffer
				b.ReadFrom(r.Body)
				sent = bytes.Clone(b.Bytes())
				if refusing == "putRecord" && bytes.Contains(sent, []byte("thumb")) {
					says(400, `{"error":"InvalidRequest","message":"no pictures here"}`)(w, r)
					return
				}
				r.Body = struct {
					*bytes.Buffer
					nothing
				}{&b, nothing{}}
				answerPut(w, r)
			},
		}
		if refusing == "uploadBlob" {
			server["uploadBlob"] = says(413, `{"error":"PayloadTooLarge"}`)
		}
		target := server.start(t)
		send(t, target, page(home, home+"/a"))
		if bytes.Contains(sent, []byte("thumb")) {
			t.Errorf("%s: sent %s", refusing, sent)
		}
	}
}

type nothing struct{}

func (nothing) Close() error { return nil }

func TestShrinkKeepsShapeAndColours(t *testing.T) {
	t.Parallel()
	img := image.NewNRGBA(image.Rect(0, 0, 2000, 500))
	for y := range 500 {
		for x := range 2000 {
			c := color.NRGBA{250, 0, 0, 255}
			if x >= 1000 {
				c = color.NRGBA{0, 0, 250, 0} // transparent
			}
			img.SetNRGBA(x, y, c)
		}
	}
	out, mimeType, err := bluesky.Shrink(encode(t, img), 1000)
	if err == nil {
		t.Fatalf("%d bytes of %s: nothing is as small as this", len(out), mimeType)
	}
	out, mimeType, err = bluesky.Shrink(append(encode(t, img), make([]byte, 100_000)...), 50_000)
	if err != nil || mimeType != "image/jpeg" {
		t.Fatalf("%s, %v", mimeType, err)
	}
	small, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if b := small.Bounds(); b.Dx() != 1600 || b.Dy() != 400 {
		t.Errorf("size %v", b)
	}
	for x, want := range map[int]color.RGBA{200: {250, 0, 0, 255}, 1400: {255, 255, 255, 255}} {
		r, g, b, _ := small.At(x, 200).RGBA()
		for _, diff := range []int{int(r>>8) - int(want.R), int(g>>8) - int(want.G), int(b>>8) - int(want.B)} {
			if diff < -8 || diff > 8 {
				t.Errorf("colour at %d: %d %d %d, want %v", x, r>>8, g>>8, b>>8, want)
			}
		}
	}
}

// Cameras say in Exif which side is up.
func TestShrinkTurnsPhotosUpright(t *testing.T) {
	t.Parallel()
	colours := map[string]color.RGBA{"red": {255, 0, 0, 255}, "green": {0, 255, 0, 255}, "blue": {0, 0, 255, 255}, "white": {255, 255, 255, 255}}
	// Corners as they have to come out: top left, top right, bottom left, bottom
	// right. In the file they are in the places that the orientation has for them.
	want := [4]string{"red", "green", "blue", "white"}
	for orientation, places := range map[int][4]int{
		1: {0, 1, 2, 3}, 2: {1, 0, 3, 2}, 3: {3, 2, 1, 0}, 4: {2, 3, 0, 1},
		5: {0, 2, 1, 3}, 6: {2, 0, 3, 1}, 7: {3, 1, 2, 0}, 8: {1, 3, 0, 2},
	} {
		img := image.NewRGBA(image.Rect(0, 0, 400, 400))
		for corner, place := range places {
			for y := range 200 {
				for x := range 200 {
					img.SetRGBA(x+place%2*200, y+place/2*200, colours[want[corner]])
				}
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, nil); err != nil {
			t.Fatal(err)
		}
		// One entry of type SHORT, in the order of a big-endian machine.
		exif := append([]byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), byte(orientation), 0, 0, 0, 0, 0, 0)
		photo := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(2 + len(exif))}, exif...)
		photo = append(append(photo, b.Bytes()[2:]...), make([]byte, 100_000)...)
		out, _, err := bluesky.Shrink(photo, 50_000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		for corner, name := range want {
			r, g, b, _ := got.At(100+corner%2*200, 100+corner/2*200).RGBA()
			if c := colours[name]; uint8(r>>15)*255 != c.R || uint8(g>>15)*255 != c.G || uint8(b>>15)*255 != c.B {
				t.Errorf("orientation %d: corner %d is %d %d %d, want %s", orientation, corner, r>>8, g>>8, b>>8, name)
			}
		}
	}
}

func TestCardImage(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://me.example/posts/1/")
	if err != nil {
		t.Fatal(err)
	}
	for html, want := range map[string]string{
		`<meta property="og:image" content="/a.png">`:                                                 "https://me.example/a.png",
		`<META CONTENT='b.png' PROPERTY='OG:Image'/>`:                                                 "https://me.example/posts/1/b.png",
		`<meta name="twitter:image" content="t.png"><meta property="og:image" content="//cdn/o.png">`: "https://cdn/o.png",
		`<meta name="twitter:image:src" content="https://x/t.png?a=1&amp;b=2">`:                       "https://x/t.png?a=1&b=2",
		`<meta property="og:image" content=""><meta property="og:image" content="second.png">`:        "https://me.example/posts/1/second.png",
		`<meta property="og:image" content="javascript:alert(1)">`:                                    "",
		`<body><meta property="og:image" content="/a.png">`:                                           "",
		`<!-- <meta property="og:image" content="/a.png"> -->`:                                        "",
		`<script>"<meta property='og:image' content='/a.png'>"</script>`:                              "",
		`<meta property="og:image" content="/a.png`:                                                   "",
		``: "",
	} {
		if got := bluesky.CardImage([]byte(html), base); got != want {
			t.Errorf("%s: got %q, want %q", html, got, want)
		}
	}
}
