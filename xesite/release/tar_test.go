// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/xesite/release"
)

// tarOf makes a tar of headers; what is no link has content.
func tarOf(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg || h.Typeflag == 0 {
			content = long
		}
		h.Size, h.Mode = int64(len(content)), 0o644
		err := w.WriteHeader(h)
		if err == nil {
			_, err = io.WriteString(w, content)
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

func file(name string) *tar.Header { return &tar.Header{Name: name} }

func open(t testing.TB, b []byte, limits release.Limits) (*release.Release, string, error) {
	t.Helper()
	scratch := t.TempDir()
	a, err := release.OpenArchive(context.Background(), bytes.NewReader(b), int64(len(b)), scratch, limits)
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("%d files are left in scratch", len(left))
	}
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { a.Close() })
	r, _, err := a.Release(context.Background())
	return r, a.Format(), err
}

// What people have at hand makes the release that the directory itself makes.
func TestArchivesOfRealToolsAreTheSite(t *testing.T) {
	program := need.Program(t, "tar", "apt-get install tar")
	git := need.Program(t, "git", "apt-get install git")
	contents := mixed()
	contents[strings.Repeat("long/", 60)+"name.html"] = long // more than the oldest form can hold
	dir := filepath.Join(t.TempDir(), "site")
	must(t, os.CopyFS(dir, tree(contents)))
	s, _ := openStore(t)
	want, _, err := s.Write(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %s: %v", name, args, err)
		}
		return out
	}
	packed := func(pack func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := pack(&b)
		w.Write(run(program, "-cf", "-", "."))
		must(t, w.Close())
		return b.Bytes()
	}
	archives := map[string][]byte{
		"tar gnu":     run(program, "--format=gnu", "-cf", "-", "."),
		"tar pax":     run(program, "--format=posix", "-cf", "-", "."),
		"tar folder":  run(program, "--format=pax", "-C", "..", "-cf", "-", "site"),
		"tar.gz":      packed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"tar.zst":     packed(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z }),
		"zip of ours": zipOf(t, want),
	}
	run(git, "init", "-q")
	run(git, "-c", "core.autocrlf=false", "add", "-A")
	run(git, "-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-qm", "x")
	archives["tar by git"] = run(git, "archive", "--format=tar", "HEAD")
	archives["zip by git"] = run(git, "archive", "--format=zip", "--prefix=site-0123456/", "HEAD")
	for name, b := range archives {
		r, format, err := open(t, b, release.Limits{})
		if err != nil || r.ID != want.ID || !strings.HasPrefix(name, format) {
			t.Errorf("%s: %s, %v, %v", name, format, r, err)
		}
		if r, err := imported(t, s, b); err != nil || r.ID != want.ID {
			t.Errorf("%s: imported: %v, %v", name, r, err)
		}
	}
}

// Zips by the hands of others, some with what no site may have.
func TestZipsOfRealTools(t *testing.T) {
	zips, err := filepath.Glob("testdata/archives/*.zip")
	if err != nil || len(zips) == 0 {
		t.Fatalf("%d zips, %v", len(zips), err)
	}
	refused := map[string]string{"infozip_encrypted": "encrypted", "infozip_stdin_zip64": `"-": it is neither a file`, "infozip_symlink": `"site/link": it is a symbolic link`, "python_bzip2": "method is 12"}
	for _, path := range zips {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, format, err := open(t, b, release.Limits{})
		part, bad := refused[strings.TrimSuffix(filepath.Base(path), ".zip")]
		switch {
		case bad && (!errors.Is(err, release.ErrArchive) || !strings.Contains(err.Error(), part)):
			t.Errorf("%s: %v, want %q", path, err, part)
		case !bad && (err != nil || format != "zip" || len(r.Index.Files) == 0):
			t.Errorf("%s: %v, %v", path, r, err)
		}
	}
}

func TestHostileTarsAreRefusedByName(t *testing.T) {
	link := func(kind byte) []byte {
		return tarOf(t, file("index.html"), &tar.Header{Name: "bad", Linkname: "index.html", Typeflag: kind})
	}
	good := tarOf(t, file("index.html"), file("a/b"))
	for name, tt := range map[string]struct {
		tar  []byte
		part string
	}{
		"leads out":          {tarOf(t, file("a/../../bad")), `"a/../../bad": its name leads out`},
		"absolute":           {tarOf(t, file("/bad")), "absolute"},
		"backslash":          {tarOf(t, file(`a\bad`)), "backslash"},
		"not UTF-8":          {tarOf(t, &tar.Header{Name: "bad\xff", Format: tar.FormatGNU}), "not UTF-8"},
		"control":            {tarOf(t, file("bad\x01")), "control"},
		"nameless":           {tarOf(t, file(".")), "no name"},
		"twice":              {tarOf(t, file("bad"), file("./bad")), `"bad": it is there twice`},
		"file and directory": {tarOf(t, file("bad"), file("bad/x")), "file and a directory"},
		"file and entry":     {tarOf(t, file("bad"), &tar.Header{Name: "bad/c/", Typeflag: tar.TypeDir}), "file and a directory"},
		"symbolic link":      {link(tar.TypeSymlink), `"bad": it is a symbolic link: archive what it leads to, with tar --dereference`},
		"hard link":          {link(tar.TypeLink), "--hard-dereference"},
		"pipe":               {link(tar.TypeFifo), "device or a pipe"},
		"device":             {link(tar.TypeChar), "device or a pipe"},
		"something else":     {link('Z'), "its type is 'Z'"},
		"cut in a file":      {good[:1000], "cut off"},
		"cut between files":  {good[:512+4096], "cut off"},
		"cut in a header":    {good[:512+4096+100], "cut off"},
		"without an end":     {good[:len(good)-1024], "cut off"},
		"damaged header":     {at(t, good, uint32('a')|uint32('/')<<8|uint32('b')<<16, 0, 'c'), "cut off"},
		"gzip of no tar":     {gzipped(t, []byte(long)), "no tar in the gzip"},
		"gzip of a zip":      {gzipped(t, foreign(t, nil, "a", "b")), "no tar in the gzip"},
		"cut gzip":           {gzipped(t, good)[:150], "gzip is broken"},
		"damaged gzip":       {flipped(gzipped(t, good)), "gzip is broken"},
		"broken zstd":        {[]byte("\x28\xb5\x2f\xfdrubbish"), "zstd is broken"},
		"xz":                 {[]byte("\xfd7zXZ\x00"), "xz is not supported"},
		"text":               {[]byte(long), "neither a zip nor a tar"},
		"nothing":            {nil, "neither a zip nor a tar"},
	} {
		r, _, err := open(t, tt.tar, release.Limits{})
		if !errors.Is(err, release.ErrArchive) || !strings.Contains(err.Error(), tt.part) {
			t.Errorf("%s: %v, %v; want %q", name, r, err, tt.part)
		}
	}
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func flipped(b []byte) []byte {
	b[len(b)-6] ^= 1 // in the checksum
	return b
}

// Sparse files would be read from the wrong places.
func TestSparseTarsAreRefused(t *testing.T) {
	program := need.Program(t, "tar", "apt-get install tar")
	dir := t.TempDir()
	path := filepath.Join(dir, "hole")
	must(t, os.WriteFile(path, []byte("x"), 0o644))
	must(t, os.Truncate(path, 1<<20))
	if info, err := os.Stat(path); err != nil || info.Sys().(*syscall.Stat_t).Blocks*512 >= 1<<20 {
		t.Skipf("this file system has no holes: %v", err)
	}
	for _, format := range []string{"gnu", "posix"} {
		b, err := exec.CommandContext(t.Context(), program, "-C", dir, "--sparse", "--format="+format, "-cf", "-", "hole").Output()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := open(t, b, release.Limits{}); !errors.Is(err, release.ErrArchive) || !strings.Contains(err.Error(), "sparse") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestLimitsHoldForTars(t *testing.T) {
	bomb := tarOf(t, file("a"), file("b"))
	size := int64(len(long))
	for _, tt := range []struct {
		b      []byte
		limits release.Limits
		part   string
	}{
		{bomb, release.Limits{File: size, Total: 2 * size, Files: 2}, ""},
		{bomb, release.Limits{File: size - 1}, "Limits.File"},
		{bomb, release.Limits{Total: 2*size - 1}, "Limits.Total"},
		{bomb, release.Limits{Files: 1}, "Limits.Files"},
		{gzipped(t, bomb), release.Limits{Total: 2*size - 1}, "Limits.Total"},
		{gzipped(t, make([]byte, 8<<20)), release.Limits{Total: 1, Files: 1}, "Limits.Total"},
	} {
		_, _, err := open(t, tt.b, tt.limits)
		if tt.part == "" && err != nil || tt.part != "" && (!errors.Is(err, release.ErrTooLarge) || !strings.Contains(err.Error(), tt.part)) {
			t.Errorf("%+v: %v", tt.limits, err)
		}
	}
}

// FuzzTar opens anything as an archive. What a tar brings must be what
// archive/tar takes out of the same bytes, and the release the one that its
// files make elsewhere.
func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, file("index.html"), file("a/b"), &tar.Header{Name: "c/", Typeflag: tar.TypeDir}))
	f.Add(gzipped(f, tarOf(f, file("site/index.html"), file("site/_redirects"))))
	f.Add(tarOf(f, &tar.Header{Name: "b/", Typeflag: tar.TypeDir}, &tar.Header{Name: "index.html", Typeflag: tar.TypeDir}))
	scratch := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		limits := release.Limits{Total: 1 << 20, Files: 100}
		a, err := release.OpenArchive(t.Context(), bytes.NewReader(b), int64(len(b)), scratch, limits)
		if err != nil {
			return
		}
		defer a.Close()
		r, _, err := a.Release(t.Context())
		if err != nil {
			return
		}
		if r.Index.Size() < 256 { // above that New compresses, which takes all the time
			elsewhere, _, err := release.New(t.Context(), a)
			if err != nil || elsewhere.ID != r.ID {
				t.Fatalf("elsewhere it is %v, %v; want %s", elsewhere, err, r.ID)
			}
		}
		if a.Format() != "tar" {
			return
		}
		contents := map[string]string{}
		for oracle := tar.NewReader(bytes.NewReader(b)); ; {
			h, err := oracle.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("accepted what archive/tar does not: %v", err)
			}
			content, err := io.ReadAll(oracle)
			if err != nil {
				t.Fatalf("accepted what archive/tar does not: %v", err)
			}
			name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
			contents[name] = string(content)
			if _, rest, ok := strings.Cut(name, "/"); ok { // of a folder that was unwrapped
				contents["unwrapped/"+rest] = string(content)
			}
		}
		for _, file := range r.Index.Files {
			got, err := r.ReadFile(file.Path)
			if err != nil || string(got) != contents[file.Path] && string(got) != contents["unwrapped/"+file.Path] {
				t.Errorf("%q: %.100q, %v; want %.100q", file.Path, got, err, fmt.Sprint(contents))
			}
		}
	})
}
