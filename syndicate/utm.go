// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"fmt"
	"net/url"
	"strings"
)

// UTM are parameters by which statistics of a site tell where a visitor comes
// from. Those that are empty are left out.
type UTM struct {
	Source, Medium, Campaign, Term, Content string
}

// Tag returns a link with the parameters in its query. The rest of the link
// stays as it is, byte for byte; a parameter that was there is replaced.
func (u UTM) Tag(link string) (string, error) {
	if err := checkURL("link", link, false); err != nil {
		return "", fmt.Errorf("syndicate: %w", err)
	}
	bare, fragment, hasFragment := strings.Cut(link, "#")
	path, query, _ := strings.Cut(bare, "?")
	set := map[string]bool{}
	var added []string
	for _, p := range [][2]string{
		{"utm_source", u.Source},
		{"utm_medium", u.Medium},
		{"utm_campaign", u.Campaign},
		{"utm_term", u.Term},
		{"utm_content", u.Content},
	} {
		if p[1] != "" {
			set[p[0]] = true
			added = append(added, p[0]+"="+url.QueryEscape(p[1]))
		}
	}
	if len(added) == 0 {
		return link, nil
	}
	// Not by way of url.Values, which would sort and rewrite the others.
	var kept []string
	for param := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(param, "=")
		if decoded, err := url.QueryUnescape(name); param != "" && (err != nil || !set[decoded]) {
			kept = append(kept, param)
		}
	}
	tagged := path + "?" + strings.Join(append(kept, added...), "&")
	if hasFragment {
		tagged += "#" + fragment
	}
	return tagged, nil
}
