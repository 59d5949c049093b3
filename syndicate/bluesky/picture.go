// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"xeiaso.net/site/syndicate"
)

// A picture for a card, as it is uploaded. The zero value is none.
type picture struct {
	content  []byte
	mimeType string
	cid      string
	source   string
}

// blob returns what a record says of the picture.
func (p picture) blob() *blob {
	if p.content == nil {
		return nil
	}
	b := &blob{Type: "blob", MimeType: p.mimeType, Size: len(p.content)}
	b.Ref.Link = p.cid
	return b
}

// pictures are those that were composed last: most will be sent soon.
type pictures struct {
	mu   sync.Mutex
	last []picture // guarded by mu
}

// maxPictures is how many are remembered, of a megabyte each at most.
const maxPictures = 8

func (p *pictures) add(pic picture) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = append([]picture{pic}, slices.DeleteFunc(p.last, func(o picture) bool { return o.cid == pic.cid })...)
	p.last = p.last[:min(len(p.last), maxPictures)]
}

func (p *pictures) get(cid string) (picture, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.last, func(o picture) bool { return o.cid == cid })
	if i < 0 {
		return picture{}, false
	}
	return p.last[i], true
}

// What a page and a picture may take.
const (
	maxPage    = 1 << 20
	maxFetched = 16 << 20
	fetchTime  = 20 * time.Second
)

// picture finds the picture of a post: the one that it names, or else the one
// that its page has for cards.
func (t *Target) picture(ctx context.Context, m syndicate.Message) (picture, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	f := t.fetcher(ownHost(m))
	var failed error
	if m.Post.Image.URL != "" {
		pic, err := t.fetchPicture(ctx, f, m.Post.Image.URL)
		if err == nil {
			return pic, nil
		}
		failed = err
	}
	html, final, err := f.get(ctx, cmp.Or(m.Post.URL, m.Link), maxPage, true)
	if err != nil {
		return picture{}, errors.Join(failed, err)
	}
	address := cardImage(html, final)
	if address == "" || address == m.Post.Image.URL {
		return picture{}, failed
	}
	pic, err := t.fetchPicture(ctx, f, address)
	if err != nil {
		return picture{}, errors.Join(failed, err)
	}
	return pic, nil
}

// ownHost returns the host of the site itself, or "" if the post is on another.
func ownHost(m syndicate.Message) string {
	u, err := url.Parse(m.Post.URL)
	if err != nil || m.Post.External {
		return ""
	}
	return u.Hostname()
}

// fetchPicture fetches a picture, makes it fit, and remembers it.
func (t *Target) fetchPicture(ctx context.Context, f *fetcher, address string) (picture, error) {
	content, _, err := f.get(ctx, address, maxFetched, false)
	if err != nil {
		return picture{}, err
	}
	content, mimeType, err := shrink(content, maxThumb)
	if err != nil {
		return picture{}, fmt.Errorf("bluesky: %s: %w", address, err)
	}
	pic := picture{bytes.Clone(content), mimeType, blobCID(content), address}
	t.pictures.add(pic)
	return pic, nil
}

// recall returns the picture that an announcement was composed with. After a
// restart it is fetched again, and is no good if it is not the same any more:
// what was announced is what was shown in a preview.
func (t *Target) recall(ctx context.Context, b body) (picture, error) {
	cid := b.Record.thumb().Ref.Link
	if pic, ok := t.pictures.get(cid); ok {
		return pic, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	pic, err := t.fetchPicture(ctx, t.fetcher(b.Own), b.Picture)
	if err == nil && pic.cid != cid {
		err = fmt.Errorf("bluesky: %s: the picture is another one by now", b.Picture)
	}
	return pic, err
}
