// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve

import (
	"net/http"
	"strings"
	"time"
)

// outcome is what the conditions of a request ask for.
type outcome int

const (
	proceed outcome = iota
	notModified
	failed // 412
)

// evaluate applies the preconditions in the order of RFC 9110 section 13.2.2
// to the representation with the given tag.
func evaluate(h http.Header, tag string, modified time.Time) outcome {
	if v := h["If-Match"]; v != nil {
		if !matches(v, tag, strong) {
			return failed
		}
	} else if v := h["If-Unmodified-Since"]; v != nil && !modified.IsZero() {
		if t, err := http.ParseTime(v[0]); err == nil && modified.After(t) {
			return failed
		}
	}
	if v := h["If-None-Match"]; v != nil {
		if matches(v, tag, weak) {
			return notModified
		}
	} else if v := h["If-Modified-Since"]; v != nil && !modified.IsZero() {
		if t, err := http.ParseTime(v[0]); err == nil && !modified.After(t) {
			return notModified
		}
	}
	return proceed
}

// The two ways to compare entity tags (RFC 9110 section 8.8.3.2).
const (
	weak   = true
	strong = false
)

// matches reports whether tag is in the list of the header's values. The tags
// of this package have no comma, so a list can be cut at every one.
func matches(values []string, tag string, weakly bool) bool {
	for _, list := range values {
		for list != "" {
			var item string
			item, list, _ = strings.Cut(list, ",")
			item = strings.Trim(item, " \t")
			if weakly {
				item = strings.TrimPrefix(item, "W/")
			}
			if item == tag || item == "*" {
				return true
			}
		}
	}
	return false
}

// maxRanges is the number of ranges above which a request is taken for an
// attempt to make the answer larger than the file: it gets the whole file.
const maxRanges = 16

// wantsRange reports whether the request is to be answered from identity with
// a part of it: a Range in bytes, whose If-Range holds.
func wantsRange(r *http.Request, tag string, modified time.Time) bool {
	v := r.Header["Range"]
	if len(v) != 1 || r.Method != http.MethodGet || !strings.HasPrefix(v[0], "bytes=") {
		return false
	}
	if strings.Count(v[0], ",") >= maxRanges {
		return false
	}
	ir := r.Header["If-Range"]
	if ir == nil {
		return true
	}
	if strings.HasSuffix(ir[0], `"`) {
		return ir[0] == tag // strong: a W/ prefix does not match
	}
	// A date is a strong validator only if it is not too fresh; equality is
	// what RFC 9110 section 13.1.5 asks for.
	t, err := http.ParseTime(ir[0])
	return err == nil && !modified.IsZero() && t.Equal(modified)
}
