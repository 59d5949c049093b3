// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/xesite/release"
)

// noise is content that cannot be compressed.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// mixed is a site with a file for each way into a zip.
func mixed() map[string]string {
	return map[string]string{
		"index.html":               long,
		"again.html":               long,
		"blog/ü/index.html":        "ü" + long,
		"blog/large.html":          strings.Repeat(noise(100)+long, 400), // more than is read at once
		"img/logo.png":             noise(5000),
		"img/dull.bmp":             strings.Repeat("\x00\x01", 5000),
		"noise.txt":                noise(5000), // text by name, and no variant pays
		"same.png":                 long,        // compressed under another name only
		"small.css":                "a{}",
		"empty":                    "",
		"Empty":                    "",
		".well-known/security.txt": "contact",
		"_redirects":               "/old/*  /new/:splat\n/gone /gone.html 410!\n/s id=:id /i/:id 302 # moved\n" + strings.Repeat("/a /b\n", 100),
		"_headers":                 "/*\n  X-One: 1\n  ! X-Two\n/b\n\tLink: <https://x.example/>; rel=preload\n",
		"~tilde/a b&c.txt":         "name",
	}
}

func zipOf(t testing.TB, r *release.Release) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteZip(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openZip(t testing.TB, b []byte) *release.Release {
	t.Helper()
	r, _, err := release.OpenZip(t.Context(), bytes.NewReader(b), int64(len(b)), release.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// imported makes a release in a store of an archive.
func imported(t testing.TB, s *release.Store, b []byte) (*release.Release, error) {
	t.Helper()
	a, err := release.OpenArchive(t.Context(), bytes.NewReader(b), int64(len(b)), t.TempDir(), release.Limits{})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	r, _, err := s.Write(t.Context(), a)
	return r, err
}

func TestZipOfAReleaseIsTheReleaseWhateverItsVariants(t *testing.T) {
	s, dir := openStore(t)
	r := write(t, s, mixed())
	want := zipOf(t, r)
	same := func(how string, r *release.Release) {
		t.Helper()
		if !bytes.Equal(zipOf(t, r), want) {
			t.Errorf("%s: the zip has other bytes", how)
		}
	}
	memory, _, err := release.New(t.Context(), tree(mixed()))
	if err != nil {
		t.Fatal(err)
	}
	same("in memory", memory)
	full, err := s.Compress(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	same("with all variants", full)
	same("served from its zip", openZip(t, want))
	variants, err := filepath.Glob(filepath.Join(dir, "blobs/*/*.gz1"))
	if err != nil || len(variants) == 0 {
		t.Fatalf("%d variants, %v", len(variants), err)
	}
	for _, path := range variants {
		must(t, os.Remove(path))
	}
	bare, err := s.Release(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	same("without variants", bare)

	if got := openZip(t, want); got.ID != r.ID {
		t.Errorf("served from its zip it is release %s, want %s", got.ID, r.ID)
	}
	other, _ := openStore(t)
	if got, err := imported(t, other, want); err != nil || got.ID != r.ID {
		t.Errorf("imported it is release %v, %v; want %s", got, err, r.ID)
	}
}

// A site whose files are all in one directory stays so, though such archives of
// others are unwrapped.
func TestZipOfOneDirectoryStaysOne(t *testing.T) {
	r, _, err := release.New(t.Context(), tree(map[string]string{"blog/index.html": "x", "blog/a": "y", "__MACOSX/a": "z"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := openZip(t, zipOf(t, r)); got.ID != r.ID {
		t.Errorf("files %+v", got.Index.Files)
	}
	one, _, err := release.New(t.Context(), tree(map[string]string{"blog/index.html": "x", "blog/a": "y"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := openZip(t, zipOf(t, one)); got.ID != one.ID {
		t.Errorf("files %+v", got.Index.Files)
	}
}

// What Info-ZIP unpacks is the site that any host would serve.
func TestUnzipReadsTheZip(t *testing.T) {
	unzip := need.Program(t, "unzip", "apt-get install unzip")
	s, _ := openStore(t)
	r := write(t, s, mixed())
	path := filepath.Join(t.TempDir(), "site.zip")
	must(t, os.WriteFile(path, zipOf(t, r), 0o644))
	if out, err := exec.CommandContext(t.Context(), unzip, "-t", path).CombinedOutput(); err != nil {
		t.Fatalf("unzip -t: %v\n%s", err, out)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), unzip, "-q", path, "-d", dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("unzip: %v\n%s", err, out)
	}
	if got, _, err := s.Write(t.Context(), os.DirFS(dir)); err != nil || got.ID != r.ID {
		t.Errorf("unpacked it is release %v, %v; want %s", got, err, r.ID)
	}
	info, err := os.Stat(filepath.Join(dir, "index.html"))
	if err != nil || info.Mode() != 0o644 || info.ModTime().UTC().Year() > 1980 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestZipIsNotBegunIfItCouldNotBeRead(t *testing.T) {
	for _, name := range []string{`a\b`, "C:x"} {
		r, _, err := release.New(t.Context(), tree(map[string]string{"index.html": "x", name: "y"}))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.WriteZip(t.Context(), &b); err == nil || !strings.Contains(err.Error(), "rename it") || b.Len() > 0 {
			t.Errorf("%q: %v, %d bytes", name, err, b.Len())
		}
	}
}

// foreign is a zip by another hand. Names that end in a slash are directories.
func foreign(t testing.TB, edit func(*zip.FileHeader), pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		h := &zip.FileHeader{Name: pairs[i], Method: zip.Deflate, Modified: time.Now()}
		if edit != nil {
			edit(h)
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestForeignArchivesOfAFolderAreUnwrapped(t *testing.T) {
	for _, tt := range []struct {
		name        string
		pairs, want []string
	}{
		{"folder", []string{"site/", "", "site/index.html", "1", "site/a/b", "2", "site/_redirects", "/x /y"}, []string{"a/b", "index.html"}},
		{"dot", []string{"./index.html", "1", "./a/b", "2"}, []string{"a/b", "index.html"}},
		{"two folders", []string{"site/index.html", "1", "b/c", "2"}, []string{"b/c", "site/index.html"}},
		{"no home page", []string{"site/about.html", "1", "site/b", "2"}, []string{"site/about.html", "site/b"}},
		{"a home page beside it", []string{"site/index.html", "1", "index.html", "2"}, []string{"index.html", "site/index.html"}},
		{"by the Finder", []string{"site/index.html", "1", "__MACOSX/site/._index.html", "2", "__MACOSX/._site", "3"}, []string{"index.html"}},
		{"of a forge", []string{"me-site-1a2b3c/index.html", "1", "me-site-1a2b3c/.gitattributes", "*"}, []string{"index.html"}},
		{"nothing", nil, nil},
	} {
		var got []string
		r := openZip(t, foreign(t, nil, tt.pairs...))
		for _, f := range r.Index.Files {
			got = append(got, f.Path)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if want := map[bool]int{true: 1}[tt.name == "folder"]; len(r.Index.Redirects) != want {
			t.Errorf("%s: rules %+v", tt.name, r.Index.Redirects)
		}
	}
}

// at patches a zip at the nth record with a signature.
func at(t testing.TB, b []byte, signature uint32, offset int, value ...byte) []byte {
	t.Helper()
	i := bytes.Index(b, binary.LittleEndian.AppendUint32(nil, signature))
	if i < 0 {
		t.Fatalf("no record %#x", signature)
	}
	b = bytes.Clone(b)
	copy(b[i+offset:], value)
	return b
}

const (
	local   = 0x04034b50
	central = 0x02014b50
	end     = 0x06054b50
)

// Each of these has done harm somewhere, or is read in two ways by two tools.
func TestHostileZipsAreRefusedByName(t *testing.T) {
	named := func(names ...string) []byte {
		var pairs []string
		for _, name := range names {
			pairs = append(pairs, name, map[bool]string{false: "x"}[strings.HasSuffix(name, "/")])
		}
		return foreign(t, nil, pairs...)
	}
	mode := func(mode uint32) []byte {
		return foreign(t, func(h *zip.FileHeader) { h.CreatorVersion, h.ExternalAttrs = 3<<8, mode<<16 }, "bad", "target")
	}
	plain := foreign(t, nil, "bad", long)
	ours, _, err := release.New(t.Context(), tree(map[string]string{"bad.html": long, "c": "stored"}))
	if err != nil {
		t.Fatal(err)
	}
	sized := zipOf(t, ours)
	for name, tt := range map[string]struct {
		zip  []byte
		part string // of the error
	}{
		"leads out":               {named("index.html", "a/../../bad"), `"a/../../bad": its name leads out`},
		"leads out at once":       {named("../bad"), "leads out"},
		"absolute":                {named("/etc/bad"), "absolute"},
		"backslash":               {named(`..\bad`), "backslash"},
		"drive":                   {named("c:/bad"), "drive letter"},
		"NUL":                     {named("bad\x00.html"), "control character"},
		"line":                    {named("bad\n"), "control character"},
		"not UTF-8":               {named("bad\xff"), "not UTF-8"},
		"empty element":           {named("a//bad"), "not a clean"},
		"only a slash":            {named("/"), "not a clean"},
		"too long":                {named(strings.Repeat("bad/", 300) + "x"), "can be served"},
		"twice":                   {named("bad", "bad"), `"bad": it is there twice`},
		"twice by a dot":          {named("bad", "./bad"), "twice"},
		"file and directory":      {named("bad", "bad/x"), "file and a directory"},
		"file and entry":          {named("bad", "bad/"), "file and a directory"},
		"file and deep entry":     {named("bad", "bad/c/d/"), "file and a directory"},
		"symbolic link":           {mode(0o120777), `"bad": it is a symbolic link`},
		"device":                  {mode(0o020666), "neither a file"},
		"pipe":                    {mode(0o010666), "neither a file"},
		"directory by mode":       {mode(0o040755), "neither a file"},
		"encrypted":               {at(t, plain, central, 8, 0x09), `"bad": it is encrypted`},
		"encrypted directory":     {at(t, plain, central, 9, 0x20), "encrypted"},
		"encrypted before data":   {at(t, plain, local, 6, 0x09), "disagree"},
		"method":                  {at(t, plain, central, 10, 12), `"bad": its compression method is 12`},
		"method before data":      {at(t, plain, local, 8, 0), "disagree"},
		"name before data":        {at(t, plain, local, 30, 'c'), `"bad": its header calls it "cad"`},
		"size before data":        {at(t, sized, local, 22, 1), "disagree"},
		"checksum before data":    {at(t, sized, local, 14, 1, 1), "disagree"},
		"no header":               {at(t, plain, central, 42, 1), "not where the directory says"},
		"header in the directory": {at(t, plain, central, 42, 0, 0, 1), "behind the data"},
		"checksum":                {at(t, at(t, sized, local, 14, 1, 2, 3, 4), central, 16, 1, 2, 3, 4), `"bad.html": its content does not have its checksum`},
		"says less":               {at(t, at(t, sized, local, 22, 9, 0), central, 24, 9, 0), "more than the 9 bytes"},
		"says more":               {at(t, at(t, sized, local, 22, 9, 99), central, 24, 9, 99), "declares 25353"},
		"stored in fewer":         {at(t, at(t, plain, local, 8, 0), central, 10, 0), "it is stored in"},
		"two parts":               {at(t, plain, end, 4, 1), "join them"},
		"fewer than counted":      {at(t, plain, end, 8, 2, 0, 2), "fewer entries"},
		"more than counted":       {at(t, named("bad", "worse"), end, 8, 1, 0, 1), "more than the 1 entries"},
		"something before it":     {append([]byte("MZ"), plain...), "does not end where"},
		"something behind it":     {append(bytes.Clone(plain), "x"...), "comment"},
		"overlap":                 {overlapping(t), `"bad2": its data overlaps with that of "bad1"`},
		"behind the stream":       {padded(t), "something behind its compressed data"},
		"nothing":                 {nil, "no directory"},
	} {
		r, _, err := release.OpenZip(t.Context(), bytes.NewReader(tt.zip), int64(len(tt.zip)), release.Limits{})
		if !errors.Is(err, release.ErrArchive) || !strings.Contains(err.Error(), tt.part) {
			t.Errorf("%s: %v, %v; want %q", name, r, err, tt.part)
		}
		s, _ := openStore(t)
		if _, err := imported(t, s, tt.zip); !errors.Is(err, release.ErrArchive) {
			t.Errorf("%s: imported: %v", name, err)
		}
	}
}

func gunzip(t *testing.T, b []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// raw makes a zip of deflate streams as they are given.
func raw(t *testing.T, stream []byte, header *zip.FileHeader) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	header.Method, header.CompressedSize64 = zip.Deflate, uint64(len(stream))
	f, err := w.CreateRaw(header)
	if err == nil {
		_, err = f.Write(stream)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// streamOf returns the only member's deflate stream, and its header.
func streamOf(t *testing.T, b []byte) ([]byte, zip.FileHeader) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	src, err := r.File[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(src)
	if err != nil {
		t.Fatal(err)
	}
	return stream, zip.FileHeader{Name: "bad", CRC32: r.File[0].CRC32, UncompressedSize64: r.File[0].UncompressedSize64}
}

// padded has bytes behind a deflate stream, which inflating does not show.
func padded(t *testing.T) []byte {
	stream, header := streamOf(t, foreign(t, nil, "bad", long))
	return raw(t, append(stream, "more"...), &header)
}

// overlapping has two members in the same bytes.
func overlapping(t *testing.T) []byte {
	b := foreign(t, func(h *zip.FileHeader) { h.Method = zip.Store }, "bad1", "x", "bad2", "x")
	second := bytes.LastIndex(b, binary.LittleEndian.AppendUint32(nil, local))
	// The first one claims to reach over the second one's header.
	size := byte(second)
	b = at(t, b, central, 20, size, 0, 0, 0, size)
	return b
}

// A cut-off upload is never half a site, and a flipped bit never another one.
func TestDamagedZipsAreNoticed(t *testing.T) {
	want, _, err := release.New(t.Context(), tree(map[string]string{"index.html": long, "a/b.png": "stored", "_headers": "/*\n  A: b\n"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"ours":    zipOf(t, want),
		"foreign": foreign(t, nil, "index.html", long, "a/b.png", "stored", "_headers", "/*\n  A: b\n"),
	} {
		if got := openZip(t, b); got.ID != want.ID {
			t.Fatalf("%s: release %s", name, got.ID)
		}
		for n := range b {
			if _, _, err := release.OpenZip(t.Context(), bytes.NewReader(b[:n]), int64(n), release.Limits{}); !errors.Is(err, release.ErrArchive) {
				t.Errorf("%s: cut off after %d of %d bytes: %v", name, n, len(b), err)
			}
			for bit := range 8 {
				b[n] ^= 1 << bit
				r, _, err := release.OpenZip(t.Context(), bytes.NewReader(b), int64(len(b)), release.Limits{})
				if err == nil && r.ID != want.ID {
					t.Errorf("%s: with bit %d of byte %d flipped it is another release", name, bit, n)
				}
				if err != nil && !errors.Is(err, release.ErrArchive) && !errors.Is(err, release.ErrTooLarge) {
					t.Errorf("%s: with bit %d of byte %d flipped: %v", name, bit, n, err)
				}
				b[n] ^= 1 << bit
			}
		}
	}
}

func TestLimitsHold(t *testing.T) {
	bomb := foreign(t, nil, "a.html", strings.Repeat("a", 1<<20), "b.html", strings.Repeat("b", 1<<20))
	for _, tt := range []struct {
		limits release.Limits
		part   string
	}{
		{release.Limits{}, ""},
		{release.Limits{Archive: 100}, "Limits.Archive"},
		{release.Limits{File: 1<<20 - 1}, `"a.html" unpacks to 1048576 bytes`},
		{release.Limits{Total: 2<<20 - 1}, `with member "b.html"`},
		{release.Limits{Files: 1}, "Limits.Files"},
		{release.Limits{Archive: int64(len(bomb)), File: 1 << 20, Total: 2 << 20, Files: 2}, ""},
	} {
		_, _, err := release.OpenZip(t.Context(), bytes.NewReader(bomb), int64(len(bomb)), tt.limits)
		if tt.part == "" && err != nil || tt.part != "" && (!errors.Is(err, release.ErrTooLarge) || !strings.Contains(err.Error(), tt.part)) {
			t.Errorf("%+v: %v", tt.limits, err)
		}
	}
}

// The files of an archive can be read in any order and place, though some are
// inflated.
func TestReleaseOfAZipIsAFileSystem(t *testing.T) {
	small := openZip(t, foreign(t, nil, "index.html", long[:200], "a/b.txt", long[:300], "a/c", "1"))
	if err := fstest.TestFS(small.FS(), "index.html", "a/b.txt", "a/c"); err != nil {
		t.Fatal(err)
	}
	r := openZip(t, foreign(t, nil, "a/b.txt", strings.Repeat(long, 10)))
	i, _ := r.Index.Find("a/b.txt")
	body, err := r.Open(i, release.Identity)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	want := strings.Repeat(long, 10)
	for _, at := range []int64{30_000, 5, 30_001, 0, int64(len(want)) - 1} {
		var b [3]byte
		n, err := body.ReadAt(b[:], at)
		if got := string(b[:n]); got != want[at:min(at+3, int64(len(want)))] || (err == nil) != (n == 3) {
			t.Errorf("ReadAt %d: %q, %v", at, got, err)
		}
		if _, err := body.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(body); err != nil || string(rest) != want[at:] {
			t.Errorf("from %d: %d bytes, %v", at, len(rest), err)
		}
	}
}

// One tag stands for one sequence of bytes: not for what another encoder made
// of the same content, and for the same stream wherever it lies.
func TestTagsOfForeignStreams(t *testing.T) {
	tag := func(r *release.Release, path string) string {
		t.Helper()
		i, ok := r.Index.Find(path)
		if !ok || len(r.Variants(i)) != 1 {
			t.Fatalf("%s: %v", path, r.Variants(i))
		}
		return r.Variants(i)[0].Tag
	}
	one := openZip(t, foreign(t, nil, "a.html", long, "b.html", long))
	two := openZip(t, foreign(t, nil, "x", "y", "a.html", long))
	fast := foreign(t, func(h *zip.FileHeader) { h.Method = zip.Store }, "a.html", long)
	three := openZip(t, zipOf(t, openZip(t, fast)))
	if tag(one, "a.html") != tag(one, "b.html") || tag(one, "a.html") != tag(two, "a.html") {
		t.Error("the same stream has several tags")
	}
	if tag(one, "a.html") == tag(three, "a.html") || tag(three, "a.html") == release.Gzip.Tag() {
		t.Error("two streams have one tag")
	}
	for _, r := range []*release.Release{one, three} {
		i, _ := r.Index.Find("a.html")
		body, err := r.Open(i, release.Gzip)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		if got := r.Variants(i)[0].Size; err != nil || int64(len(b)) != got || gunzip(t, b) != long {
			t.Errorf("%d bytes, %v; want %d of gzip", len(b), err, got)
		}
	}
}
