// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"xeiaso.net/site/xesite/release"
)

// field is a header field that is ready to be put into an [http.Header]: the
// key is canonical, and the slice is shared by all answers and never changed.
type field struct {
	key    string
	values []string
}

// one returns a slice that an append has to copy.
func one(value string) []string { return []string{value}[:1:1] }

// representation is one form of a content. There are tens of thousands of
// them: their header values are slices of these arrays, see [share].
type representation struct {
	coding release.Coding
	size   int64
	tag    [1]string // entity tag, quoted
	length [1]string // Content-Length
	// body holds the content once it was read, if the budget allows.
	body atomic.Pointer[[]byte]
}

// share returns a header value without allocating. An append has to copy it.
func share(value *[1]string) []string { return value[:1:1] }

// content is a file of the release: its representations, identity first.
type content struct {
	rel      *release.Release
	index    int // in rel.Index.Files
	reps     []representation
	modified time.Time // zero: not known
	fields   []field   // of every answer with this content
	immutable,
	html,
	inflated bool // identity is made anew for each reader, see release.Release.Inflated
}

// route is what one path answers.
type route struct {
	content *content
	fields  []field // content.fields with the path's own rules applied
}

var (
	nosniff      = field{"X-Content-Type-Options", one("nosniff")}
	revalidate   = field{"Cache-Control", one("public, max-age=0, must-revalidate")}
	immutable    = field{"Cache-Control", one("public, max-age=31536000, immutable")}
	noStore      = field{"Cache-Control", one("no-store")}
	varyEncoding = field{"Vary", one("Accept-Encoding")}
	acceptRanges = one("bytes")

	// encodings are the values of Content-Encoding.
	encodings = [...][]string{
		release.Identity: nil,
		release.Gzip:     one(release.Gzip.String()),
		release.Zstd:     one(release.Zstd.String()),
		release.Brotli:   one(release.Brotli.String()),
	}

	// elsewhere is the route of all paths that lack a slash at their end, or
	// have one too many.
	elsewhere = &route{}
)

// compileContents makes the contents of a release.
func (h *Handler) compileContents(rel *release.Release, modified []int64, now time.Time) []content {
	files := rel.Index.Files
	contents := make([]content, len(files))
	known := map[fieldsKey][]field{}
	for i, f := range files {
		c := &contents[i]
		c.rel, c.index = rel, i
		c.html = strings.HasPrefix(f.Type, "text/html")
		c.immutable = !c.html && Fingerprinted(f.Path)
		c.inflated = rel.Inflated(i)
		if i < len(modified) {
			// Never later than Date (RFC 9110 section 8.8.2.1): a clock that
			// was set back takes the field away for a while.
			if t := time.Unix(modified[i], 0); !t.After(now) {
				c.modified = t
			}
		}
		h.compileRepresentations(c, f)
		c.fields = contentFields(c, f.Type, known)
	}
	return contents
}

func (h *Handler) compileRepresentations(c *content, f release.File) {
	variants := c.rel.Variants(c.index)
	if c.html && len(h.opts.AppendHTML) > 0 {
		// The variants lack what is appended, and so does what a browser may
		// have of the page from before: the tag is another.
		variants = nil
		f.Size += int64(len(h.opts.AppendHTML))
		f.Hash = sha256.Sum256(append(f.Hash[:], h.opts.AppendHTML...))
	}
	c.reps = make([]representation, 1+len(variants))
	c.reps[0].init(f.Hash, release.Variant{Coding: release.Identity, Size: f.Size})
	for i, v := range variants {
		c.reps[1+i].init(f.Hash, v)
	}
}

func (r *representation) init(hash release.Hash, v release.Variant) {
	r.coding, r.size = v.Coding, v.Size
	// Half of the hash: nobody but the site's author could make two contents
	// with the same one, and tags travel with every request.
	tag := `"` + hex.EncodeToString(hash[:16])
	if v.Coding != release.Identity {
		tag += "-" + v.Tag
	}
	r.tag[0] = tag + `"`
	r.length[0] = strconv.FormatInt(v.Size, 10)
}

// fieldsKey is what the fields of a content depend on.
type fieldsKey struct {
	contentType string
	immutable   bool
	varies      bool
	modified    int64
}

// contentFields returns what every answer with the content carries. Most
// contents share theirs with many others, by way of known.
func contentFields(c *content, contentType string, known map[fieldsKey][]field) []field {
	varies := release.Compressible(contentType) || len(c.reps) > 1
	key := fieldsKey{contentType, c.immutable, varies, c.modified.Unix()}
	if fields := known[key]; fields != nil {
		return fields
	}
	fields := make([]field, 0, 5)
	fields = append(fields, field{"Content-Type", one(contentType)}, nosniff)
	if c.immutable {
		fields = append(fields, immutable)
	} else {
		fields = append(fields, revalidate)
	}
	// Also where no variant pays today: one may join later, and caches must
	// not have mixed them up by then. A foreign zip compresses what it likes.
	if key.varies {
		fields = append(fields, varyEncoding)
	}
	if !c.modified.IsZero() {
		fields = append(fields, field{"Last-Modified", one(c.modified.UTC().Format(http.TimeFormat))})
	}
	known[key] = fields
	return fields
}

// compileRoutes makes the table of paths.
func (h *Handler) compileRoutes(contents []content) map[string]*route {
	routes := make(map[string]*route, 2*len(contents))
	add := func(path string, r *route) {
		if _, taken := routes[path]; !taken {
			routes[path] = r
		}
	}
	// Exact names first: they win over what is derived from other names, and
	// lend them their strings.
	paths := make([]string, len(contents))
	for i := range contents {
		paths[i] = "/" + h.rel.Index.Files[i].Path
		add(paths[i], h.route(paths[i], &contents[i]))
	}
	for i, path := range paths {
		if stem, ok := strings.CutSuffix(path, ".html"); ok && !strings.HasSuffix(stem, "/") {
			add(stem, h.route(stem, &contents[i]))
		}
		if dir, ok := strings.CutSuffix(path, "index.html"); ok && strings.HasSuffix(dir, "/") {
			add(dir, h.route(dir, &contents[i]))
		}
	}
	// Redirects last: they are for what has no content of its own.
	for _, path := range paths {
		if dir, ok := strings.CutSuffix(path, "/index.html"); ok && dir != "" {
			add(dir, elsewhere)
		} else if stem, ok := strings.CutSuffix(path, ".html"); ok {
			add(stem+"/", elsewhere)
		}
	}
	return routes
}

// compileEarlier adds the paths of earlier releases that this one does not
// have, the newest release's first. They are answered like its own files.
func (h *Handler) compileEarlier(routes map[string]*route, now time.Time) {
	for _, rel := range h.opts.Earlier {
		contents := h.compileContents(rel, nil, now)
		for i := range contents {
			path := "/" + rel.Index.Files[i].Path
			if _, taken := routes[path]; !taken {
				routes[path] = h.route(path, &contents[i])
			}
		}
	}
}

// route answers a path with c, with the _headers rules applied.
func (h *Handler) route(path string, c *content) *route {
	return &route{content: c, fields: h.headers.apply(path, c.fields)}
}

// missingPage is the 404.html of a directory.
type missingPage struct {
	dir     string // "/" or "/fr/"
	content *content
}

// compileMissing finds the error pages of the release.
func (h *Handler) compileMissing(contents []content) (pages []missingPage) {
	for i := range contents {
		path := "/" + h.rel.Index.Files[i].Path
		if dir, ok := strings.CutSuffix(path, "/404.html"); ok {
			pages = append(pages, missingPage{dir + "/", &contents[i]})
		}
	}
	slices.SortStableFunc(pages, func(a, b missingPage) int { return len(b.dir) - len(a.dir) })
	return pages
}

// headers are the compiled rules of the _headers file.
type headers []headerRule

type headerRule struct {
	release.HeaderRule
	pattern pattern
}

func compileHeaders(rules []release.HeaderRule) (hs headers) {
	for _, r := range rules {
		hs = append(hs, headerRule{r, compile(r.Pattern)})
	}
	return hs
}

// apply returns the fields for a path: base, if no rule fits. A rule replaces
// a default; two rules for one name are joined with a comma, as the hosting
// services do. Vary is only added to, and cookies stay apart.
func (hs headers) apply(path string, base []field) []field {
	if len(hs) == 0 {
		return base
	}
	set := map[string][]string{}
	unset := map[string]bool{}
	for _, r := range hs {
		if _, ok := r.pattern.match(path); !ok {
			continue
		}
		for _, f := range r.Set {
			set[f.Name] = append(set[f.Name], f.Value)
		}
		for _, name := range r.Unset {
			unset[name] = true
			delete(set, name)
		}
	}
	if len(set)+len(unset) == 0 {
		return base
	}
	var fields []field
	for _, f := range base {
		if f.key == "Vary" {
			set["Vary"] = append(slices.Clone(f.values), set["Vary"]...)
			continue
		}
		if set[f.key] == nil && !unset[f.key] {
			fields = append(fields, f)
		}
	}
	for name, values := range set {
		if name != "Set-Cookie" {
			values = one(strings.Join(values, ", "))
		}
		fields = append(fields, field{name, values})
	}
	return fields
}

// Fingerprinted reports whether a part of the file's name changes with its
// content: 8 or more hexadecimal digits, not all decimal (a date is none).
func Fingerprinted(name string) bool {
	parts := strings.FieldsFunc(path.Base(name), func(c rune) bool { return strings.ContainsRune(".-_~@", c) })
	return slices.ContainsFunc(parts, func(part string) bool {
		return len(part) >= 8 && strings.Trim(part, "0123456789abcdefABCDEF") == "" &&
			strings.Trim(part, "0123456789") != ""
	})
}
