// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"net/url"
	"strings"

	"xeiaso.net/site/syndicate/internal/markup"
)

// cardImage returns the address of the picture that a page has for cards, or "".
// The properties of Open Graph go first, then Twitter's. The body is not looked
// at: what is there may be by somebody else.
func cardImage(page []byte, base *url.URL) string {
	found := map[string]string{}
	for e := range markup.Elements(page) {
		if e.Name == "body" {
			break
		}
		if e.Name != "meta" {
			continue
		}
		for _, name := range []string{e.Attr("property"), e.Attr("name")} {
			if name = strings.ToLower(name); found[name] == "" {
				found[name] = e.Attr("content")
			}
		}
	}
	for _, name := range []string{"og:image", "og:image:secure_url", "og:image:url", "twitter:image", "twitter:image:src"} {
		u, err := base.Parse(found[name])
		if found[name] != "" && err == nil && checkWeb(u) == nil {
			return u.String()
		}
	}
	return ""
}
