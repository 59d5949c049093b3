// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve

import (
	"strings"

	"xeiaso.net/site/xesite/release"
)

// allCodings is how many codings package release has.
const allCodings = int(release.Brotli) + 1

// acceptance holds what a client says of each coding, in thousandths:
// 0 refused, 1000 most wanted, unsaid if it was not mentioned.
type acceptance [allCodings]int16

const unsaid int16 = -1

// parseAccept reads an Accept-Encoding header (RFC 9110 section 12.5.3). What
// does not parse is passed over: a strange header must not cost a page.
func parseAccept(header string) acceptance {
	var a acceptance
	for c := range a {
		a[c] = unsaid
	}
	star := unsaid
	for header != "" {
		var item string
		item, header, _ = strings.Cut(header, ",")
		name, params, _ := strings.Cut(item, ";")
		name = strings.Trim(name, " \t")
		q := quality(params)
		if q == unsaid {
			continue
		}
		if name == "*" {
			star = q
		} else if c, ok := coding(name); ok {
			a[c] = q
		}
	}
	for c := range a {
		if a[c] == unsaid && release.Coding(c) != release.Identity {
			a[c] = star
		}
	}
	return a
}

// coding returns the coding of a name, whatever its case.
func coding(name string) (release.Coding, bool) {
	switch {
	case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
		return release.Gzip, true
	case strings.EqualFold(name, "br"):
		return release.Brotli, true
	case strings.EqualFold(name, "zstd"):
		return release.Zstd, true
	case strings.EqualFold(name, "identity"):
		return release.Identity, true
	}
	return 0, false
}

// quality returns the weight among the parameters in thousandths, 1000 if
// there is none, unsaid if it is malformed.
func quality(params string) int16 {
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		key, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.Trim(key, " \t"), "q") {
			return weight(strings.Trim(value, " \t"))
		}
	}
	return 1000
}

// weight reads a qvalue: 0 or 1, with up to three decimals.
func weight(s string) int16 {
	if s == "" || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return unsaid
	}
	q := int16(s[0]-'0') * 1000
	unit := int16(100)
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return unsaid
		}
		q += int16(s[i]-'0') * unit
		unit /= 10
	}
	return min(q, 1000)
}

// choose picks the representation to send. Reps has identity first and then
// the codings, smallest first; so among equal weights the smallest wins.
func (a acceptance) choose(reps []representation) *representation {
	best, bestQ := &reps[0], int16(0)
	for i := range reps[1:] {
		r := &reps[1+i]
		if q := a[r.coding]; q > bestQ {
			best, bestQ = r, q
		}
	}
	if q := a[release.Identity]; q > bestQ {
		return &reps[0]
	}
	return best
}
