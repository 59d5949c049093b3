// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"encoding/json"
	"errors"
	"fmt"

	"xeiaso.net/site/syndicate"
)

// collection is where an account's posts are.
const collection = "app.bsky.feed.post"

// body is what an announcement is kept as until it is sent.
type body struct {
	// Record is what will be published, but for the time.
	Record post `json:"record"`
	// Picture is where that of the card came from, and Own the site's own host,
	// from which it may come although that is in a private network.
	Picture string `json:"picture,omitempty"`
	Own     string `json:"own,omitempty"`
}

// readBody reads the body of an attempt.
func readBody(a syndicate.Attempt) (body, error) {
	var b body
	if err := json.Unmarshal(a.Body, &b); err != nil || b.Record.Type != collection {
		return body{}, &syndicate.Error{Err: errors.New("bluesky: the announcement was not made by this package"), NotSent: true, Refused: true}
	}
	b.Record.CreatedAt = a.Created.UTC().Format("2006-01-02T15:04:05.000Z")
	return b, nil
}

// post is a record of type app.bsky.feed.post.
type post struct {
	Type      string   `json:"$type"`
	Text      string   `json:"text"`
	Facets    []facet  `json:"facets,omitempty"`
	Embed     *embed   `json:"embed,omitempty"`
	Langs     []string `json:"langs,omitempty"`
	Labels    *labels  `json:"labels,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	CreatedAt string   `json:"createdAt,omitempty"`
}

// facet is a part of a text, by offsets in bytes, as app.bsky.richtext.facet.
type facet struct {
	Index struct {
		Start int `json:"byteStart"`
		End   int `json:"byteEnd"`
	} `json:"index"`
	Features []feature `json:"features"`
}

// feature is a link or a hashtag.
type feature struct {
	Type string `json:"$type"`
	URI  string `json:"uri,omitempty"`
	Tag  string `json:"tag,omitempty"`
}

const (
	linkFeature = "app.bsky.richtext.facet#link"
	tagFeature  = "app.bsky.richtext.facet#tag"
)

// facets writes facets as the record has them.
func facets(rich syndicate.RichText) []facet {
	var all []facet
	for _, f := range rich.Facets {
		var out facet
		out.Index.Start, out.Index.End = f.Start, f.End
		if f.URL != "" {
			out.Features = []feature{{Type: linkFeature, URI: f.URL}}
		} else {
			out.Features = []feature{{Type: tagFeature, Tag: f.Tag}}
		}
		all = append(all, out)
	}
	return all
}

// embed is the card of a link, as app.bsky.embed.external.
type embed struct {
	Type     string `json:"$type"`
	External card   `json:"external"`
}

const cardType = "app.bsky.embed.external"

type card struct {
	URI         string `json:"uri"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Thumb       *blob  `json:"thumb,omitempty"`
}

// blob is a reference to a file of the account.
type blob struct {
	Type string `json:"$type"`
	Ref  struct {
		Link string `json:"$link"`
	} `json:"ref"`
	MimeType string `json:"mimeType"`
	Size     int    `json:"size"`
}

// labels hide a post until a reader wants to see it.
type labels struct {
	Type   string  `json:"$type"`
	Values []label `json:"values"`
}

type label struct {
	Val string `json:"val"`
}

// thumb returns the picture of the card, or nil.
func (p post) thumb() *blob {
	if p.Embed == nil {
		return nil
	}
	return p.Embed.External.Thumb
}

// withThumb returns a record that differs in its picture only.
func (p post) withThumb(thumb *blob) post {
	if p.Embed != nil {
		changed := *p.Embed
		changed.External.Thumb = thumb
		p.Embed = &changed
	}
	return p
}

// receipt is what a record is known by.
func receipt(did, rkey string) syndicate.Receipt {
	return syndicate.Receipt{
		ID: recordURI(did, rkey),
		// With the DID it stays, whatever the account is called later.
		URL: "https://bsky.app/profile/" + did + "/post/" + rkey,
	}
}

func recordURI(did, rkey string) string {
	return fmt.Sprintf("at://%s/%s/%s", did, collection, rkey)
}
