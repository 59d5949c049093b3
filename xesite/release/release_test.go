// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/xesite/release"
)

var long = strings.Repeat("All work and no play makes a dull page. ", 100)

func tree(contents map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, content := range contents {
		fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return fsys
}

func openStore(t testing.TB) (*release.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := release.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func write(t testing.TB, s *release.Store, contents map[string]string) *release.Release {
	t.Helper()
	r, _, err := s.Write(t.Context(), tree(contents))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func publish(t testing.TB, s *release.Store, id release.ID, at time.Time) *release.Publication {
	t.Helper()
	pub, err := s.Publish(t.Context(), "production", release.PublishOptions{Release: id, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func TestIdenticalContentHasTheIdenticalName(t *testing.T) {
	s, dir := openStore(t)
	contents := map[string]string{"index.html": long, "a/b.css": "b", "_redirects": "/x /y 301\n"}
	first := write(t, s, contents)
	again, report, err := s.Write(t.Context(), tree(contents))
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != again.ID || report.NewBlobs != 0 {
		t.Errorf("ids %s and %s, %d new blobs", first.ID, again.ID, report.NewBlobs)
	}
	memory, _, err := release.New(t.Context(), tree(contents))
	if err != nil || memory.ID != first.ID {
		t.Errorf("in memory the id is %s, %v; want %s", memory.ID, err, first.ID)
	}
	onDisk := t.TempDir()
	if err := os.CopyFS(onDisk, tree(contents)); err != nil {
		t.Fatal(err)
	}
	fromDir, _, err := s.Write(t.Context(), os.DirFS(onDisk))
	if err != nil || fromDir.ID != first.ID {
		t.Errorf("from a directory the id is %s, %v; want %s", fromDir.ID, err, first.ID)
	}
	for _, change := range []map[string]string{
		{"index.html": long + "!", "a/b.css": "b", "_redirects": "/x /y 301\n"},
		{"index.html": long, "a/c.css": "b", "_redirects": "/x /y 301\n"},
		{"index.html": long, "a/b.css": "b", "_redirects": "/x /z 301\n"},
		{"index.html": long, "a/b.css": "b"},
	} {
		if write(t, s, change).ID == first.ID {
			t.Errorf("%v has the same id", slices.Sorted(maps.Keys(change)))
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "blobs", "tmp")); len(left) > 0 {
		t.Errorf("%d temporary files are left", len(left))
	}
}

func TestReleaseIsAFileSystem(t *testing.T) {
	s, _ := openStore(t)
	r := write(t, s, map[string]string{"index.html": long, "a.html": "1", "a/index.html": "2", "a/b/c.txt": "3", "a-b/x": "4"})
	if err := fstest.TestFS(r.FS(), "index.html", "a.html", "a/index.html", "a/b/c.txt", "a-b/x"); err != nil {
		t.Fatal(err)
	}
	got, err := r.ReadFile("a/b/c.txt")
	if err != nil || string(got) != "3" {
		t.Errorf("ReadFile = %q, %v", got, err)
	}
	if _, err := r.ReadFile("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadFile of nothing: %v", err)
	}
}

func TestVariantsAreMadeOnceAndOnlyWhereTheyPay(t *testing.T) {
	s, dir := openStore(t)
	noise := make([]byte, 4096)
	x := uint32(1)
	for i := range noise { // xorshift: text by name, but without pattern
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	r := write(t, s, map[string]string{"long.html": long, "noise.txt": string(noise), "long.png": long + ".", "tiny.css": "a{}"})
	codings := func(r *release.Release, path string) (cs []string) {
		i, ok := r.Index.Find(path)
		if !ok {
			t.Fatalf("no %s", path)
		}
		for _, v := range r.Variants(i) {
			cs = append(cs, v.Coding.String())
		}
		slices.Sort(cs)
		return cs
	}
	if got := codings(r, "long.html"); !slices.Equal(got, []string{"gzip", "zstd"}) {
		t.Errorf("after Write: %v, want the fast codings", got)
	}
	for _, path := range []string{"noise.txt", "long.png", "tiny.css"} {
		if got := codings(r, path); len(got) > 0 {
			t.Errorf("%s has the codings %v", path, got)
		}
	}
	stamp := stamps(t, dir)
	full, err := s.Compress(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := codings(full, "long.html"); !slices.Equal(got, []string{"br", "gzip", "zstd"}) {
		t.Errorf("after Compress: %v", got)
	}
	for name, info := range stamps(t, dir) {
		if old, ok := stamp[name]; ok && old != info {
			t.Errorf("%s was written again", name)
		}
	}
	if again, err := s.Compress(t.Context(), full); err != nil || again != full {
		t.Errorf("Compress has something to do again: %v", err)
	}
	// A new release with the same content has the slow variants at once.
	if got := codings(write(t, s, map[string]string{"other.html": long}), "other.html"); len(got) != 3 {
		t.Errorf("known content has only %v", got)
	}
}

// stamps returns name → time and size of every blob.
func stamps(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			m[path] = fmt.Sprint(info.ModTime(), info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNamesThatCannotBeServedAreErrors(t *testing.T) {
	for name, want := range map[string]string{
		"latin\xe9.html":                 "is not UTF-8",
		"a\nb.html":                      "control character",
		strings.Repeat("a/", 600) + "b":  "at most 1024",
		"a\\b.html":                      "", // odd, but a name
		"ü/🥺.html":                       "",
		"Case.html":                      "",
		"foo.github.io.html":             "",
		".well-known/x":                  "",
		strings.Repeat("n", 255) + "/ok": "",
	} {
		_, _, err := release.New(t.Context(), tree(map[string]string{name: "x", "case.html": "y"}))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", name, err, want)
		}
	}
}

func TestGitNeverEntersARelease(t *testing.T) {
	r, report, err := release.New(t.Context(), tree(map[string]string{
		"index.html": "x", ".git/config": "secret", ".gitignore": "x", "sub/.git": "gitdir", "sub/.github/x.yml": "x", "a.git.html": "served",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Index.Files {
		got = append(got, f.Path)
	}
	if want := []string{"a.git.html", "index.html"}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if len(report.Skipped) != 4 {
		t.Errorf("reported as left out: %v", report.Skipped)
	}
}

func TestLinksInsideTheTreeAreFollowedAndOthersRefused(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "real.html"), []byte("real"), 0o644))
	must(t, os.Symlink("real.html", filepath.Join(dir, "link.html")))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, _, err := release.New(t.Context(), root.FS())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.ReadFile("link.html"); string(got) != "real" {
		t.Errorf("link.html = %q, %v", got, err)
	}
	for _, target := range []string{outside, "../../../../etc/passwd", "nowhere"} {
		link := filepath.Join(dir, "bad.html")
		must(t, os.Symlink(target, link))
		if _, _, err := release.New(t.Context(), root.FS()); err == nil || !strings.Contains(err.Error(), "bad.html") {
			t.Errorf("link to %s: error %v, want one that names bad.html", target, err)
		}
		must(t, os.Remove(link))
	}
}

// Opening a pipe that nobody writes to waits for ever, and nothing could stop
// the build.
func TestPipesAreRefusedAndNeverOpened(t *testing.T) {
	for name, plant := range map[string]func(dir string) error{
		"page":      func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "page.html"), 0o644) },
		"rule file": func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "_headers"), 0o644) },
		"linked rule file": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o755), syscall.Mkfifo(filepath.Join(dir, "d", "p"), 0o644),
				os.Symlink("d/p", filepath.Join(dir, "_redirects")))
		},
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("x"), 0o644))
		must(t, plant(dir))
		s, _ := openStore(t)
		if _, _, err := s.Write(t.Context(), os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A disk that is full costs the build, and leaves nothing behind.
func TestAFailedWriteLeavesTheStoreAsItWas(t *testing.T) {
	s, dir := openStore(t)
	good := write(t, s, map[string]string{"index.html": long})
	publish(t, s, good.ID, time.Time{})
	_, _, err := s.Write(t.Context(), failingFS{tree(map[string]string{"a": long + "1", "index.html": long + "2", "z": long + "3"}), "z"})
	if !errors.Is(err, errRead) {
		t.Errorf("error %v, want that of the file", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "blobs", "tmp")); len(left) > 0 {
		t.Errorf("%d temporary files are left", len(left))
	}
	if r, _, err := s.Load(t.Context(), "production"); err != nil || r.ID != good.ID {
		t.Errorf("the release before: %v, %v", r, err)
	}
	if ids, err := s.Releases(); err != nil || len(ids) != 1 {
		t.Errorf("%d releases, %v", len(ids), err)
	}
}

var errRead = errors.New("the disk is broken")

// failingFS cannot read one of its files.
type failingFS struct {
	fs.FS
	name string
}

func (f failingFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err == nil && name == f.name {
		file = failingFile{file}
	}
	return file, err
}

type failingFile struct{ fs.File }

func (failingFile) Read([]byte) (int, error) { return 0, errRead }

// An encoder that has worked before must make the same bytes as a new one:
// the tag of a coding says which recipe made it, and nothing else.
func TestCodingsDependOnTheContentAlone(t *testing.T) {
	contents := map[string]string{}
	for i, size := range []int{300, 4_000, 40_000, 150_000, 301, 4_001} {
		var b strings.Builder
		for n := i + 1; b.Len() < size; n = n * 7 % 104_729 {
			fmt.Fprintf(&b, "word%d ", n)
		}
		contents[fmt.Sprintf("%d.txt", i)] = b.String()[:size]
	}
	s, _ := openStore(t)
	together, err := s.Compress(t.Context(), write(t, s, contents))
	must(t, err)
	for i, f := range together.Index.Files {
		alone, _, err := release.New(t.Context(), tree(map[string]string{f.Path: contents[f.Path]}))
		must(t, err)
		if got, want := len(together.Variants(i)), len(alone.Variants(0)); got != want || got == 0 {
			t.Errorf("%d bytes: %d variants, want %d", f.Size, got, want)
		}
		for _, v := range alone.Variants(0) {
			if !bytes.Equal(variant(t, together, i, v.Coding), variant(t, alone, 0, v.Coding)) {
				t.Errorf("%d bytes: %s differs", f.Size, v.Coding)
			}
		}
	}
}

func variant(t *testing.T, r *release.Release, i int, c release.Coding) []byte {
	t.Helper()
	f, err := r.Open(i, c)
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return b
}

func TestNobodyElseMayWriteAndNobodyMayChangeABlob(t *testing.T) {
	s, dir := openStore(t)
	publish(t, s, write(t, s, map[string]string{"index.html": long}).ID, time.Time{})
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		refused := fs.FileMode(0o022)
		if !d.IsDir() && strings.Contains(path, "blobs") {
			refused = 0o222
		}
		if mode := info.Mode().Perm(); mode&refused != 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
		return nil
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLastModifiedFollowsTheContentAndNeverFalls(t *testing.T) {
	s, _ := openStore(t)
	a := write(t, s, map[string]string{"same": "1", "index.html": "a"})
	b := write(t, s, map[string]string{"same": "1", "index.html": "b"})
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	modified := func(p *release.Publication) []int64 { return p.Modified }

	p1 := publish(t, s, a.ID, day(1))
	p2 := publish(t, s, b.ID, day(2))
	p3 := publish(t, s, a.ID, day(3)) // a rollback changes the page again
	p4 := publish(t, s, b.ID, day(1)) // the clock was set back
	if p1.Sequence != 1 || p3.Sequence != 3 {
		t.Errorf("sequences %d, %d", p1.Sequence, p3.Sequence)
	}
	for _, tt := range []struct{ got, want []int64 }{
		{modified(p1), []int64{day(1).Unix(), day(1).Unix()}},
		{modified(p2), []int64{day(2).Unix(), day(1).Unix()}},
		{modified(p3), []int64{day(3).Unix(), day(1).Unix()}},
		{modified(p4), []int64{day(3).Unix() + 1, day(1).Unix()}}, // no date stands for two contents
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("modified %v, want %v", tt.got, tt.want)
		}
	}
}

func TestLoadFallsBackToTheLastWholeRelease(t *testing.T) {
	s, dir := openStore(t)
	if _, _, err := s.Load(t.Context(), "production"); !errors.Is(err, release.ErrNoRelease) {
		t.Errorf("empty store: %v", err)
	}
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"short": func(path string) error {
			return errors.Join(os.Chmod(path, 0o644), os.Truncate(path, 3))
		},
	} {
		good := write(t, s, map[string]string{"index.html": "good before " + name})
		publish(t, s, good.ID, time.Time{})
		bad := write(t, s, map[string]string{"index.html": name + long})
		publish(t, s, bad.ID, time.Time{})
		if r, _, err := s.Load(t.Context(), "production"); err != nil || r.ID != bad.ID {
			t.Fatalf("before the damage: %v", err)
		}
		must(t, damage(blobPath(t, dir, bad.Index.Files[0].Hash)))
		r, pub, err := s.Load(t.Context(), "production")
		if !errors.Is(err, release.ErrCorrupt) || r == nil || r.ID != good.ID || pub.Release != good.ID {
			t.Errorf("%s blob: served %v, error %v", name, r, err)
		}
		if !strings.Contains(fmt.Sprint(err), "index.html") {
			t.Errorf("the error does not name the path: %v", err)
		}
		// The next build with this content mends it.
		write(t, s, map[string]string{"index.html": name + long})
		if r, _, err := s.Load(t.Context(), "production"); err != nil || r.ID != bad.ID {
			t.Errorf("%s blob: not mended by writing again: %v", name, err)
		}
	}
}

func blobPath(t *testing.T, dir string, h release.Hash) string {
	t.Helper()
	return filepath.Join(dir, "blobs", h.String()[:2], h.String())
}

func TestPointerIsFoundAgainWhenItIsLost(t *testing.T) {
	s, dir := openStore(t)
	r := write(t, s, map[string]string{"index.html": "x"})
	publish(t, s, r.ID, time.Time{})
	publish(t, s, r.ID, time.Time{})
	pointer := filepath.Join(dir, "channels", "production")
	for _, content := range []string{"", "{", `{"release":"../../etc/passwd","sequence":9}`, `{"release":"` + string(r.ID) + `"}`, "null", "[]"} {
		must(t, os.WriteFile(pointer, []byte(content), 0o644))
		if p, err := s.Pointer("production"); err != nil || p.Sequence != 2 || p.Release != r.ID {
			t.Errorf("pointer %q: got %+v, %v", content, p, err)
		}
	}
}

// The pointer says what to serve; its record only adds when and why.
func TestALostRecordDoesNotTakeTheReleaseAway(t *testing.T) {
	s, dir := openStore(t)
	publish(t, s, write(t, s, map[string]string{"index.html": "old"}).ID, time.Time{})
	want := publish(t, s, write(t, s, map[string]string{"index.html": "new"}).ID, time.Time{})
	record := filepath.Join(dir, "channels", "production.d", "2.json")
	for name, damage := range map[string]func() error{
		"cut":  func() error { return os.WriteFile(record, []byte(`{"rel`), 0o644) },
		"lost": func() error { return os.Remove(record) },
	} {
		must(t, damage())
		r, pub, err := s.Load(t.Context(), "production")
		if r == nil || r.ID != want.Release || pub.Pointer != want.Pointer {
			t.Errorf("%s: served %v, published as %+v", name, r, pub)
		}
		if err == nil {
			t.Errorf("%s: nobody is told", name)
		}
	}
	next := publish(t, s, write(t, s, map[string]string{"index.html": "newer"}).ID, time.Time{})
	if next.Sequence != 3 {
		t.Errorf("the next publication has sequence %d, want 3", next.Sequence)
	}
}

func TestVerifyFindsWrongContentAndQuarantineRemovesIt(t *testing.T) {
	s, dir := openStore(t)
	r := write(t, s, map[string]string{"index.html": long, "other.html": "other"})
	if err := s.Verify(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	path := blobPath(t, dir, r.Index.Files[0].Hash)
	must(t, os.Chmod(path, 0o644))
	must(t, os.WriteFile(path, []byte(strings.ToUpper(long)), 0o644))
	if err := s.Verify(t.Context(), r); !errors.Is(err, release.ErrCorrupt) || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("flipped content: %v", err)
	}
	must(t, s.Quarantine(t.Context(), r))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the wrong blob is still there")
	}
	if err := s.Verify(t.Context(), write(t, s, map[string]string{"index.html": long, "other.html": "other"})); err != nil {
		t.Errorf("after writing again: %v", err)
	}
}

func TestVerifyDropsBrokenVariants(t *testing.T) {
	s, dir := openStore(t)
	r := write(t, s, map[string]string{"index.html": long})
	path := blobPath(t, dir, r.Index.Files[0].Hash) + ".gz1"
	must(t, os.Chmod(path, 0o644))
	must(t, os.WriteFile(path, []byte("not gzip at all, but not empty"), 0o644))
	if err := s.Verify(t.Context(), r); err != nil {
		t.Errorf("a broken variant condemns the release: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the broken variant is still there")
	}
}

func TestFenceStopsAnOldBuilder(t *testing.T) {
	s, _ := openStore(t)
	r := write(t, s, map[string]string{"index.html": "x"})
	opts := release.PublishOptions{Release: r.ID, Fence: 7}
	if _, err := s.Publish(t.Context(), "production", opts); err != nil {
		t.Fatal(err)
	}
	opts.Fence = 6
	if _, err := s.Publish(t.Context(), "production", opts); !errors.Is(err, release.ErrFenced) {
		t.Errorf("fence 6 after 7: %v", err)
	}
	if p, _ := s.Pointer("production"); p.Sequence != 1 {
		t.Errorf("the pointer moved: %+v", p)
	}
}

func TestConcurrentPublicationsGetNumbersOfTheirOwn(t *testing.T) {
	s, _ := openStore(t)
	r := write(t, s, map[string]string{"index.html": "x"})
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				pub, err := s.Publish(t.Context(), "production", release.PublishOptions{Release: r.ID})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[pub.Sequence] {
					t.Errorf("sequence %d twice", pub.Sequence)
				}
				seen[pub.Sequence] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if p, _ := s.Pointer("production"); p.Sequence != 40 {
		t.Errorf("last sequence %d, want 40", p.Sequence)
	}
}

func TestCollectKeepsWhatIsNeeded(t *testing.T) {
	s, dir := openStore(t)
	var releases []*release.Release
	for i := range 5 {
		r := write(t, s, map[string]string{"index.html": fmt.Sprint(i, long), "shared.css": long})
		publish(t, s, r.ID, time.Time{})
		releases = append(releases, r)
	}
	must(t, os.WriteFile(filepath.Join(dir, "blobs", "tmp", "leftover"), nil, 0o644))
	retired := blobPath(t, dir, releases[4].Index.Files[0].Hash) + ".gz0"
	must(t, os.WriteFile(retired, nil, 0o644))

	open, err := releases[0].Open(0, release.Identity) // a response that is under way
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()

	collect := func(grace time.Duration) {
		t.Helper()
		keep, err := s.Prune("production", 2, grace)
		if err != nil {
			t.Fatal(err)
		}
		must(t, s.Collect(t.Context(), keep, grace))
	}
	collect(time.Hour)
	if ids, _ := s.Releases(); len(ids) != 5 {
		t.Errorf("within the grace time %d releases are left, want 5", len(ids))
	}
	collect(0)
	for i, r := range releases {
		_, err := s.Release(t.Context(), r.ID)
		if gone, want := err != nil, i < 3; gone != want {
			t.Errorf("release %d: error %v, want gone %v", i, err, want)
		}
	}
	if _, err := os.Stat(retired); err == nil {
		t.Error("the variant of a retired recipe is left")
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "blobs", "tmp")); len(left) > 0 {
		t.Errorf("%d temporary files are left", len(left))
	}
	if got, err := io.ReadAll(open); err != nil || !strings.HasPrefix(string(got), "0") {
		t.Errorf("the open response was cut: %d bytes, %v", len(got), err)
	}
	if r, _, err := s.Load(t.Context(), "production"); err != nil || r.ID != releases[4].ID {
		t.Errorf("current release: %v", err)
	}
	if pubs, _ := s.Publications("production"); len(pubs) != 2 {
		t.Errorf("%d records are left, want 2", len(pubs))
	}
}

// Other instances serve the last release until they see the pointer, however
// old it is.
func TestCollectLeavesWhatWasCurrentAMomentAgo(t *testing.T) {
	s, dir := openStore(t)
	var releases []*release.Release
	for _, content := range []string{"1", "2", "3"} {
		r := write(t, s, map[string]string{"index.html": content + long})
		publish(t, s, r.ID, time.Time{})
		releases = append(releases, r)
		if content == "3" {
			break
		}
		hourAgo := time.Now().Add(-time.Hour)
		must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chtimes(path, hourAgo, hourAgo))
		}))
	}
	keep, err := s.Prune("production", 1, time.Minute)
	must(t, err)
	must(t, s.Collect(t.Context(), keep, time.Minute))
	for i, r := range releases {
		_, err := s.Release(t.Context(), r.ID)
		if gone, want := err != nil, i == 0; gone != want {
			t.Errorf("release %d: error %v, want gone %v", i+1, err, want)
		}
	}
}

// Two builders may believe that they lead.
func TestConcurrentWritersDoNotHarmEachOther(t *testing.T) {
	s, _ := openStore(t)
	contents := map[string]string{}
	for i := range 50 { // more than are synced one by one
		contents[fmt.Sprintf("%d.html", i)] = fmt.Sprint(i%20, long)
	}
	var all sync.WaitGroup
	ids := make([]release.ID, 4)
	for i := range ids {
		all.Go(func() {
			r, _, err := s.Write(t.Context(), tree(contents))
			if err == nil {
				r, err = s.Compress(t.Context(), r)
			}
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = r.ID
			if err := s.Verify(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if distinct := slices.Compact(ids); len(distinct) != 1 {
		t.Errorf("releases %v", distinct)
	}
}

func TestDiff(t *testing.T) {
	index := func(contents map[string]string) *release.Index {
		r, _, err := release.New(t.Context(), tree(contents))
		if err != nil {
			t.Fatal(err)
		}
		return r.Index
	}
	a := index(map[string]string{"a": "1", "b": "1", "c": "1", "e": "1"})
	b := index(map[string]string{"b": "2", "c": "1", "d": "1", "e": "1", "f": "1"})
	want := release.Changes{Added: []string{"d", "f"}, Changed: []string{"b"}, Removed: []string{"a"}}
	if diff := cmp.Diff(want, release.Diff(a, b)); diff != "" {
		t.Error(diff)
	}
	if got := release.Diff(nil, a); len(got.Added) != 4 || !release.Diff(a, a).Empty() {
		t.Errorf("from nothing: %+v", got)
	}
}

func TestMistakesNameTheirLine(t *testing.T) {
	_, report, err := release.New(t.Context(), tree(map[string]string{
		"index.html": "x",
		"_redirects": "\ufeff# comment\n\n/ok /fine\n/a\nnopath /x\n/b ftp://x 301\n/c /d 999\n/e /f abc\n/g //evil 301\n/h/*/x /y\n" +
			"/i https://proxy.example/ 200\n/j /k 302 Country=de\n/l /:nope\n/m https://:host.example/x\n/:a/:a /x\n/%zz /x\nhttps://x.example/* /x\n/n/* /n/:splat 301",
		"_headers": "  X-Early: 1\n/ok\n  X-A: 1\n  broken\n  Content-Length: 3\n  Bad Name: x\nnopath\n  X-B: lost\n/late\n  ! X-A\n" +
			"/private/*\n  Basic-Auth: user:password\nhttps://x.example/*\n  X-C: lost\nblog/:id\n  X-D: lost\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range report.Mistakes {
		line, _, _ := strings.Cut(m.Error(), ": ")
		got = append(got, line)
	}
	want := []string{
		"_headers:1", "_headers:4", "_headers:5", "_headers:6", "_headers:7", "_headers:8",
		"_headers:12", "_headers:13", "_headers:14", "_headers:15", "_headers:16",
	}
	for line := 4; line <= 17; line++ {
		want = append(want, fmt.Sprintf("_redirects:%d", line))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

// The forms that files in the wild have, beside the documented one.
func TestRuleFilesAreReadAsTheHostingServicesDo(t *testing.T) {
	redirects, mistakes := release.ParseRedirects([]byte("/a  /b  301!  # moved in 2020\n/c /d#part # see there\n"))
	wantRedirects := []release.Redirect{
		{From: "/a", To: "/b", Status: 301, Force: true},
		{From: "/c", To: "/d#part", Status: 301},
	}
	if diff := cmp.Diff(wantRedirects, redirects); diff != "" || len(mistakes) > 0 {
		t.Errorf("redirects, mistakes %v:\n%s", mistakes, diff)
	}
	headers, mistakes := release.ParseHeaders([]byte("/a\nX-One: 1\n! X-Two\n  /b/*\n\tLink: <https://x.example/>\n"))
	wantHeaders := []release.HeaderRule{
		{Pattern: "/a", Set: []release.Header{{Name: "X-One", Value: "1"}}, Unset: []string{"X-Two"}},
		{Pattern: "/b/*", Set: []release.Header{{Name: "Link", Value: "<https://x.example/>"}}},
	}
	if diff := cmp.Diff(wantHeaders, headers); diff != "" || len(mistakes) > 0 {
		t.Errorf("headers, mistakes %v:\n%s", mistakes, diff)
	}
}

func TestContentTypesDoNotDependOnTheMachine(t *testing.T) {
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "A.HTML": "text/html; charset=utf-8",
		"blog.rss": "application/rss+xml; charset=utf-8", "blog.atom": "application/atom+xml; charset=utf-8",
		"f.woff2": "font/woff2", "m.webmanifest": "application/manifest+json; charset=utf-8",
		"x.wasm": "application/wasm", "p.avif": "image/avif", "CNAME": "text/plain; charset=utf-8",
		"x.unknown": "text/plain; charset=utf-8",
	} {
		if got := release.TypeOf(name, []byte("<script>text, whatever it looks like</script>\n")); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, head := range []string{"\x00\x01", "\xff\xfe", "a\x01b"} {
		if got := release.TypeOf("x", []byte(head)); got != "application/octet-stream" {
			t.Errorf("head %q: %s", head, got)
		}
	}
	if got := release.TypeOf("x", nil); got != "text/plain; charset=utf-8" {
		t.Errorf("an empty file without extension: %s", got) // the original's zip failed on one
	}
}

func TestBadStoresGiveErrorsThatNameTheValue(t *testing.T) {
	s, _ := openStore(t)
	for _, id := range []release.ID{"", "../x", "ABC", release.ID(strings.Repeat("g", 64))} {
		if _, err := s.Release(t.Context(), id); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", string(id))) {
			t.Errorf("Release(%q): %v", id, err)
		}
	}
	for _, channel := range []string{"", "../x", "A", strings.Repeat("a", 64), "a.d"} {
		if _, err := s.Pointer(channel); err == nil || errors.Is(err, release.ErrNoRelease) {
			t.Errorf("Pointer(%q): %v", channel, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	if _, err := release.Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open of a file: %v", err)
	}
}

// What an index from outside may not bring: the handler trusts its rules.
func TestIndexesThatNoTreeMakesAreRefused(t *testing.T) {
	const file = `{"p":"a","h":"0000000000000000000000000000000000000000000000000000000000000000","s":1,"t":"text/plain"}`
	header := func(h string) string { return `{"v":1,"files":[],"headers":[{"pattern":"/*","set":[` + h + `]}]}` }
	redirect := func(r string) string { return `{"v":1,"files":[],"redirects":[` + r + `]}` }
	for name, b := range map[string]string{
		"splits the response":   header(`{"name":"A","value":"b\r\nSet-Cookie: c"}`),
		"reserved header":       header(`{"name":"Content-Length","value":"1"}`),
		"bad header name":       header(`{"name":"A b","value":"1"}`),
		"name not canonical":    header(`{"name":"x-a","value":"1"}`),
		"block without fields":  header(``),
		"no pattern":            `{"v":1,"files":[],"headers":[{"pattern":"","set":[{"name":"A","value":"b"}]}]}`,
		"leaves the site":       redirect(`{"from":"/a","to":"//evil.example/","status":301}`),
		"odd status":            redirect(`{"from":"/a","to":"/b","status":999}`),
		"proxy":                 redirect(`{"from":"/a","to":"https://x.example/","status":200}`),
		"two rules in one":      redirect(`{"from":"/a","to":"/b 301\n/c /d","status":301}`),
		"unknown placeholder":   redirect(`{"from":"/a","to":"/:b","status":301}`),
		"two stars":             redirect(`{"from":"/*/*","to":"/b","status":301}`),
		"type with a line":      strings.Replace(`{"v":1,"files":[`+file+`]}`, "text/plain", `text/plain\r\nA: b`, 1),
		"no type":               strings.Replace(`{"v":1,"files":[`+file+`]}`, "text/plain", "", 1),
		"rule file":             strings.Replace(`{"v":1,"files":[`+file+`]}`, `"a"`, `"_headers"`, 1),
		"file and directory":    `{"v":1,"files":[` + file + `,` + strings.Replace(file, `"a"`, `"a-b"`, 1) + `,` + strings.Replace(file, `"a"`, `"a/b"`, 1) + `]}`,
		"spaces":                `{"v":1, "files":[]}`,
		"something behind":      `{"v":1,"files":[]}` + "\n{}",
		"empty list":            `{"v":1,"files":[],"redirects":[]}`,
		"the same field twice":  `{"v":1,"v":1,"files":[]}`,
		"another case of a key": `{"V":1,"files":[]}`,
	} {
		if _, err := release.DecodeIndex([]byte(b + "\n")); err == nil {
			t.Errorf("%s: accepted %s", name, b)
		}
	}
	good := strings.Replace(header(`{"name":"A","value":"b"}`), `"files":[]`, `"files":[`+file+`]`, 1) + "\n"
	if _, err := release.DecodeIndex([]byte(good)); err != nil {
		t.Errorf("refused %s: %v", good, err)
	}
}

// The longest lines that are read, and those that would not survive being
// written down by the shortest of rules.
func TestRulesCanBeWrittenDown(t *testing.T) {
	pad := func(format string, n int) string {
		return strings.Replace(format, "%", strings.Repeat("x", n-len(format)+1), 1)
	}
	for _, files := range [][2]string{
		{pad("/a /%", 4096), ""},
		{pad("/a /% 0301!", 4096), ""},
		{"", pad("/a\nA:%", 4096+3)},
		{"", pad("/a\n!%", 4096+3)},
		{"", "/a\nhttp: //x\nX:\n! #x\n!!x\n!x\n"},
		{"/a x=:y  /:y#z  #z\n/ü /é\n", "/a b\n  X: é \t ü\n/a b\n  ! X\n  X: 1"},
	} {
		rules, m1 := release.ParseRedirects([]byte(files[0]))
		blocks, m2 := release.ParseHeaders([]byte(files[1]))
		if len(m1)+len(m2) > 0 || len(rules)+len(blocks) == 0 {
			t.Errorf("%.60q: %d rules, %d blocks, mistakes %v %v", files, len(rules), len(blocks), m1, m2)
		}
		encoded, _, err := (&release.Index{Version: 1, Redirects: rules, Headers: blocks}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := release.DecodeIndex(encoded); err != nil {
			t.Errorf("%.60q: %v", files, err)
		}
	}
	// A path line that is refused takes its fields along.
	blocks, m := release.ParseHeaders([]byte("/a\n  X: 1\n/b\x01\n  X: 2\n/" + strings.Repeat("c", 5000) + "\n  X: 3\n/\xff\n  X: 4\n"))
	if len(blocks) != 1 || len(blocks[0].Set) != 1 || len(m) != 6 {
		t.Errorf("%+v, %v", blocks, m)
	}
	rules, m := release.ParseRedirects([]byte("/a /b\x01\n/a /\xff\n/a /" + strings.Repeat("c", 5000)))
	if len(rules) != 0 || len(m) != 3 {
		t.Errorf("%+v, %v", rules, m)
	}
}

func FuzzDecodeIndex(f *testing.F) {
	r, _, err := release.New(f.Context(), tree(map[string]string{"index.html": "x", "a": "b", "_redirects": "/a /b 301!\n", "_headers": "/*\n  A: b\n"}))
	if err != nil {
		f.Fatal(err)
	}
	b, _, err := r.Index.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"v":1,"files":[{"p":"../x"}]}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := release.DecodeIndex(b)
		if err != nil {
			return
		}
		for _, file := range x.Files {
			if !fs.ValidPath(file.Path) {
				t.Errorf("path %q", file.Path)
			}
		}
		canonical, id, err := x.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := release.DecodeIndex(canonical)
		if err != nil {
			t.Fatalf("the canonical form does not decode: %v", err)
		}
		if _, id2, _ := again.Encode(); id2 != id {
			t.Errorf("encoding twice: %s and %s", id, id2)
		}
	})
}

func FuzzRules(f *testing.F) {
	f.Add([]byte("/a/* /b/:splat 301!\n/s id=:id /x/:id\n"), []byte("/*\n  A: b\n  ! C\n"))
	f.Add([]byte("/:a/:b https://x.example/:a?b=:b#c 302"), []byte("/:x\n\tVary: Origin"))
	f.Add([]byte("/%ff /x\n/*a /b"), []byte("/*.jpg\n  Bad Name: x"))
	f.Fuzz(func(t *testing.T, redirects, headers []byte) {
		rules, m1 := release.ParseRedirects(redirects)
		blocks, m2 := release.ParseHeaders(headers)
		for _, m := range append(m1, m2...) {
			if m.Line < 1 || m.Reason == "" {
				t.Errorf("mistake without place or reason: %+v", m)
			}
		}
		for _, r := range rules {
			if !strings.HasPrefix(r.From, "/") || strings.HasPrefix(r.To, "//") || r.Status < 200 || r.Status > 410 {
				t.Errorf("accepted %+v", r)
			}
		}
		for _, b := range blocks {
			for _, h := range b.Set {
				if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
					t.Errorf("accepted %+v", h)
				}
			}
		}
		// What is compiled can be written down and read again.
		x := release.Index{Version: 1, Redirects: rules, Headers: blocks}
		encoded, _, err := x.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := release.DecodeIndex(encoded); err != nil {
			t.Errorf("an index with these rules is refused: %v\n%s", err, encoded)
		}
	})
}
