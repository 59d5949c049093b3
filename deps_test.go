// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package site_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "xeiaso.net/site"

// A rule says what a package may import, itself or through others, beyond the
// standard library.
type rule struct {
	// pkg is relative to the module.
	pkg string
	// own are packages of this module, and with "/..." at the end everything
	// below them. The internal packages, those for tests excepted, are always
	// allowed.
	own []string
	// third are modules, or folders of them.
	third []string
}

var (
	compression = []string{"github.com/klauspost/compress", "github.com/andybalholm/brotli"}

	// What prometheus and promhttp bring.
	prometheus = []string{
		"github.com/prometheus", "github.com/beorn7/perks", "github.com/cespare/xxhash",
		"github.com/munnerz/goautoneg", "google.golang.org/protobuf", "golang.org/x/sys",
	}

	bine = []string{"github.com/cretz/bine", "golang.org/x/crypto", "golang.org/x/sys"}

	wireguard = []string{"golang.zx2c4.com/wireguard", "golang.org/x/net"}

	// What gVisor's network stack brings.
	gvisor = []string{
		"gvisor.dev/gvisor/pkg", "github.com/google/btree", "golang.org/x/exp/constraints",
		"golang.org/x/sys", "golang.org/x/time/rate",
	}

	markdown = []string{
		"github.com/yuin/goldmark", "github.com/yuin/goldmark-highlighting",
		"github.com/alecthomas/chroma", "github.com/dlclark/regexp2", "github.com/goccy/go-yaml",
	}
)

// Who imports one package must not get the dependencies of another, so the
// rules name what is allowed: nothing new comes in unnoticed.
var rules = []rule{
	{pkg: "."},
	{pkg: "internal/atomicfile"},
	{pkg: "internal/secret"},
	{
		pkg:   "xesite",
		own:   []string{"xesite/release", "xesite/serve", "xesite/hook", "xesite/state"},
		third: slices.Concat(compression, prometheus, []string{"github.com/go-chi/chi/v5", "github.com/fsnotify/fsnotify"}),
	},
	{pkg: "xesite/release", third: compression},
	{pkg: "xesite/serve", own: []string{"xesite/release"}, third: compression},
	{pkg: "xesite/links", own: []string{"xesite/release", "xesite/serve"}, third: append([]string{"golang.org/x/net/html"}, compression...)},
	{pkg: "xesite/hook"},
	{pkg: "xesite/state"},
	{pkg: "xesite/state/statetest", own: []string{"xesite/state"}},
	{pkg: "xesite/markdown", third: markdown},
	{pkg: "patreon"},
	{pkg: "patreon/metrics", own: []string{"patreon"}, third: prometheus},
	{pkg: "patreon/patreontest"},
	{pkg: "onion", third: bine},
	{pkg: "onion/metrics", own: []string{"onion"}, third: slices.Concat(bine, prometheus)},
	{pkg: "wg", own: []string{"wg/internal/..."}, third: slices.Concat(wireguard, gvisor, []string{"golang.org/x/crypto"})},
	{pkg: "wg/metrics", own: []string{"wg", "wg/internal/..."}, third: slices.Concat(wireguard, gvisor, prometheus, []string{"golang.org/x/crypto"})},
	{pkg: "wg/internal/relay"},
	{pkg: "wg/internal/socks", own: []string{"wg/internal/relay"}},
	{pkg: "wg/internal/dns", third: []string{"golang.org/x/net/dns/dnsmessage"}},
	{pkg: "syndicate", third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/feed", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/internal/markup"},
	{pkg: "syndicate/internal/call", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/bluesky", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/discord", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/discordtest"},
	{pkg: "syndicate/internal/faulty"},
	{pkg: "syndicate/internal/lookback", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/internal/picture", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/internal/settle"},
	{pkg: "syndicate/mastodon", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/mastodontest"},
	{pkg: "syndicate/internal/outside"},
	{pkg: "syndicate/irc", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg", "github.com/ergochat/irc-go"}},
	{pkg: "syndicate/metrics", own: []string{"syndicate"}, third: append([]string{"github.com/rivo/uniseg"}, prometheus...)},
	{pkg: "syndicate/webhook", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/webmention", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	{pkg: "syndicate/websub", own: []string{"syndicate"}, third: []string{"github.com/rivo/uniseg"}},
	// The only package that may import gVisor.
	{pkg: "wg/internal/netstack", third: slices.Concat(wireguard, gvisor)},
	// The host program is where all of them meet.
	{pkg: "example", own: []string{"..."}, third: []string{"..."}},
}

// libraries are the top folders that do not import each other.
var libraries = []string{"xesite", "syndicate", "patreon", "onion", "wg"}

// A listed package is what the go command knows of it.
type listed struct {
	ImportPath string
	Deps       []string
	Standard   bool
}

// list returns all packages of this module and what they import, outside of
// tests, by import path.
var list = sync.OnceValues(func() (map[string]listed, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Deps,Standard", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); err {
		case nil:
			packages[p.ImportPath] = p
		case io.EOF:
			return packages, nil
		default:
			return nil, err
		}
	}
})

// packages returns the list, and the paths of this module's packages in it,
// relative to the module.
func packages(t *testing.T) (all map[string]listed, own []string) {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	for p := range all {
		if rel, ok := relative(p); ok {
			own = append(own, rel)
		}
	}
	slices.Sort(own)
	return all, own
}

// relative returns the path of a package of this module without the module's.
func relative(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// matches reports whether p is one of the packages, or below one of the
// folders, of patterns.
func matches(p string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if folder, ok := strings.CutSuffix(pattern, "..."); ok {
			return strings.HasPrefix(p, folder) || p+"/" == folder
		}
		return p == pattern
	})
}

// folders makes patterns for everything below each of the paths.
func folders(paths []string) []string {
	var patterns []string
	for _, p := range paths {
		patterns = append(patterns, strings.TrimSuffix(p, "...")+"/...")
	}
	return patterns
}

func isInternal(p string) bool { return slices.Contains(strings.Split(p, "/"), "internal") }

func forTests(p string) bool { return strings.HasPrefix(p, "internal/test/") }

func TestImports(t *testing.T) {
	all, own := packages(t)
	for _, r := range rules {
		if !slices.Contains(own, r.pkg) {
			t.Errorf("there is a rule for %s, which is no package of this module: remove the rule", r.pkg)
			continue
		}
		for _, dep := range all[path.Join(module, r.pkg)].Deps {
			if why := r.refuses(all[dep]); why != "" {
				t.Errorf("%s imports %s, if only through another package: %s", r.pkg, dep, why)
			}
		}
	}
}

// refuses tells why a package that obeys r may not import p; empty if it may.
func (r rule) refuses(p listed) string {
	rel, own := relative(p.ImportPath)
	switch {
	case p.Standard:
		return ""
	case own && forTests(rel):
		return "that is for _test.go files"
	case own && isInternal(rel), own && matches(rel, r.own):
		return ""
	case own:
		return "it is not among the packages of this module that the rule allows"
	case slices.Contains(r.third, "..."), matches(p.ImportPath, folders(r.third)):
		return ""
	}
	return "it is not among the modules that the rule allows"
}

func TestEveryPackageHasARule(t *testing.T) {
	_, own := packages(t)
	for _, p := range own {
		hasRule := slices.ContainsFunc(rules, func(r rule) bool { return r.pkg == p })
		if !hasRule && !forTests(p) {
			t.Errorf("%s has no rule: add one that says what it may import", p)
		}
	}
}

// Libraries meet in the host program, over types of the standard library.
func TestLibrariesDoNotImportEachOther(t *testing.T) {
	all, own := packages(t)
	for _, p := range own {
		library, _, _ := strings.Cut(p, "/")
		if !slices.Contains(libraries, library) {
			continue
		}
		for _, dep := range all[path.Join(module, p)].Deps {
			rel, ok := relative(dep)
			other, _, _ := strings.Cut(rel, "/")
			if ok && other != library && slices.Contains(libraries, other) {
				t.Errorf("%s imports %s", p, rel)
			}
		}
	}
}

// gVisor has no versions and promises nothing about its API: what a new one
// breaks has to be in one place. The same goes for the interface to WireGuard.
func TestGvisorIsImportedInOnePlace(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		imports := strings.Fields(line)
		if imports[0] == module+"/wg/internal/netstack" {
			continue
		}
		for _, p := range imports[1:] {
			if strings.HasPrefix(p, "gvisor.dev/") || strings.HasPrefix(p, "golang.zx2c4.com/wireguard/tun") {
				t.Errorf("%s imports %s: only wg/internal/netstack may", imports[0], p)
			}
		}
	}
}

// A program does not want the flags of package testing, nor the rigs.
func TestProgramsGetNoTestCode(t *testing.T) {
	all, own := packages(t)
	for _, p := range own {
		if forTests(p) || strings.HasSuffix(path.Base(p), "test") {
			continue
		}
		for _, dep := range all[path.Join(module, p)].Deps {
			rel, ok := relative(dep)
			if dep == "testing" || ok && forTests(rel) {
				t.Errorf("%s imports %s", p, dep)
			}
		}
	}
}

// The rules would be worth nothing if they let everything pass.
func TestRulesRefuse(t *testing.T) {
	standard := listed{ImportPath: "net/http", Standard: true}
	allows := rule{pkg: "a", own: []string{"b", "c/..."}, third: []string{"example.com/m"}}
	for _, tt := range []struct {
		p    listed
		want bool
	}{
		{standard, true},
		{listed{ImportPath: module + "/internal/secret"}, true},
		{listed{ImportPath: module + "/internal/test/need"}, false},
		{listed{ImportPath: module + "/b"}, true},
		{listed{ImportPath: module + "/b/sub"}, false},
		{listed{ImportPath: module + "/c"}, true},
		{listed{ImportPath: module + "/c/sub"}, true},
		{listed{ImportPath: module + "/cc"}, false},
		{listed{ImportPath: module}, false},
		{listed{ImportPath: "example.com/m"}, true},
		{listed{ImportPath: "example.com/m/v2/sub"}, true},
		{listed{ImportPath: "example.com/mm"}, false},
	} {
		if why := allows.refuses(tt.p); (why == "") != tt.want {
			t.Errorf("import of %s: refused with %q, want it allowed: %t", tt.p.ImportPath, why, tt.want)
		}
	}
}
