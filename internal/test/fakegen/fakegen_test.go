// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package fakegen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"xeiaso.net/site/internal/test/fakegen"
	"xeiaso.net/site/internal/test/gittest"
)

// checkout returns a repository with 30 pages.
func checkout(t *testing.T) (repo *gittest.Repo, commit string) {
	t.Helper()
	repo = gittest.New(t)
	repo.Write("index.md", "# Welcome\n")
	repo.Write("notes.txt", "<not> a tag\n")
	repo.Write("style.css", "p{}")
	repo.Write(".hidden", "secret")
	for letter := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
		repo.Write("posts/"+letter+".md", "# Post "+letter+"\n\nText.\n")
	}
	return repo, repo.Commit("pages")
}

// command returns the generator, to be started in the repository's clone.
func command(t *testing.T, repo *gittest.Repo, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", fakegen.Line(t, args...))
	cmd.Dir = repo.Dir
	cmd.Env = append(repo.Env(), "SITE_URL=https://site.example/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// generate runs the generator and returns its log and exit code.
func generate(t *testing.T, repo *gittest.Repo, args ...string) (log string, code int) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(repo.Dir, "_site")); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, repo, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return string(out), code
}

// output returns the files of the site by name.
func output(t *testing.T, repo *gittest.Repo) map[string]string {
	t.Helper()
	files := map[string]string{}
	// Not an fs.FS: that knows no names that are not UTF-8.
	dir := filepath.Join(repo.Dir, "_site")
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		files[strings.TrimPrefix(file, dir+"/")] = string(content)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// allFiles is what becomes of the 29 visible ones, a 404.html and a blog.json.
const allFiles = 31

func TestPagesAreStamped(t *testing.T) {
	repo, commit := checkout(t)
	if log, code := generate(t, repo); code != 0 || !strings.Contains(log, "31 files of commit "+commit) {
		t.Errorf("exit code %d, log:\n%s", code, log)
	}
	files := output(t, repo)
	if len(files) != allFiles {
		t.Errorf("%d files, want %d", len(files), allFiles)
	}
	stamp := "<!-- commit " + commit + " -->\n"
	for _, name := range []string{"index.html", "posts/a/index.html", "notes/index.html", "404.html"} {
		if page := files[name]; !strings.HasPrefix(page, stamp) || !strings.HasSuffix(page, stamp) {
			t.Errorf("%s is not stamped on both ends:\n%s", name, page)
		}
	}
	if got, want := files["notes/index.html"], "<pre>&lt;not&gt; a tag\n</pre>"; !strings.Contains(got, want) {
		t.Errorf("%q is not in\n%s", want, got)
	}
	if files["style.css"] != "p{}" || files[".hidden"] != "" {
		t.Errorf("style.css %q and .hidden %q, want a copy and nothing", files["style.css"], files[".hidden"])
	}
	var feed struct {
		Items []struct{ URL, Title string }
	}
	if err := json.Unmarshal([]byte(files["blog.json"]), &feed); err != nil || len(feed.Items) != 26 {
		t.Fatalf("feed: %v, %d items, want 26", err, len(feed.Items))
	}
	if got := feed.Items[0]; got.URL != "https://site.example/posts/a/" || got.Title != "Post a" {
		t.Errorf("first item %+v", got)
	}
}

func TestPlainSitesAreEqual(t *testing.T) {
	repo, _ := checkout(t)
	repo.Write("fault.txt", "# the site is the same whatever the commit\nplain\npages 20\n")
	generate(t, repo)
	before := output(t, repo)
	repo.Commit("nothing of the site changes")
	generate(t, repo)
	after := output(t, repo)
	if len(before) != allFiles+20 || len(after) != len(before) {
		t.Errorf("%d and %d files, want %d", len(before), len(after), allFiles+20)
	}
	for name, content := range after {
		if before[name] != content {
			t.Errorf("%s differs:\n%s\n%s", name, before[name], content)
		}
	}
}

func TestFaultsThatEnd(t *testing.T) {
	repo, _ := checkout(t)
	for _, tt := range []struct {
		fault string
		code  int
		files int
		log   string
	}{
		{"ok", 0, allFiles, "31 files"},
		{"crash", 3, 15, "crashing, as told"},
		{"crash 42", 42, 15, "crashing, as told"},
		{"kill", -1, 15, ""},
		{"partial", 0, 4, "31 files"},
		{"empty", 0, 0, ""},
		{"missing", 0, 0, ""},
		{"slow 30", 0, allFiles, "31 files"},
		{"symlink " + filepath.Join(repo.Dir, "index.md"), 0, allFiles + 1, "31 files"},
		{"env", 0, allFiles + 1, "32 files"},
		{"badname", 0, allFiles + 1, "32 files"},
		{"krash", 1, 0, `there is no fault "krash"`},
		{"crash hard", 1, 15, "fault crash"},
		{"hold", 1, 15, "hold needs -gate"},
	} {
		log, code := generate(t, repo, "-fault", tt.fault)
		if killed := code == 128+9; killed { // the shell's way to say it
			code = -1
		}
		if files := output(t, repo); code != tt.code || len(files) != tt.files || !strings.Contains(log, tt.log) {
			t.Errorf("%s: exit code %d, %d files, log %q; want %d, %d, %q", tt.fault, code, len(files), log, tt.code, tt.files, tt.log)
		}
		_, err := os.Stat(filepath.Join(repo.Dir, "_site"))
		if exists := err == nil; tt.fault == "missing" && exists || tt.fault == "empty" && !exists {
			t.Errorf("%s: output directory exists: %t", tt.fault, exists)
		}
	}
}

func TestOddFiles(t *testing.T) {
	repo, _ := checkout(t)
	generate(t, repo, "-fault", "env;badname;symlink")
	if target, err := os.Readlink(filepath.Join(repo.Dir, "_site/link.html")); err != nil || target != "/etc/passwd" {
		t.Errorf("link to %q, %v", target, err)
	}
	os.Remove(filepath.Join(repo.Dir, "_site/link.html"))
	files := output(t, repo)
	if _, ok := files["bad-\xff.html"]; !ok {
		t.Error("no file with a bad name")
	}
	if want := "\nSITE_URL=https://site.example/\n"; !strings.Contains(files["env.txt"], want) {
		t.Errorf("%q is not in\n%s", want, files["env.txt"])
	}
}

func TestFlood(t *testing.T) {
	repo, _ := checkout(t)
	for _, tt := range []struct {
		fault string
		lines int // with the one that ends it
	}{{"flood 1000000", 953}, {"flood 1000000 x", 1}} {
		log, code := generate(t, repo, "-fault", tt.fault)
		if lines := strings.Count(log, "\n"); code != 0 || len(log) < 1_000_000 || lines != tt.lines {
			t.Errorf("%s: exit code %d, %d bytes in %d lines; want at least 1000000 in %d", tt.fault, code, len(log), lines, tt.lines)
		}
	}
}

func TestHold(t *testing.T) {
	repo, commit := checkout(t)
	gate := fakegen.NewGate(t)
	cmd := command(t, repo, "-gate", gate.Addr(), "-fault", "hold;crash 4")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := gate.Next(fakegen.Generator)
	p.WaitHeld()
	if files := output(t, repo); len(files) != 15 || p.Commit != commit || p.Gone() {
		t.Errorf("%d files of commit %s, gone %t; want half of %d, %s, false", len(files), p.Commit, p.Gone(), allFiles, commit)
	}
	p.Release()
	p.WaitGone()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 4 {
		t.Errorf("ended with %v, want the fault that comes after the hold", err)
	}
}

func TestHangIgnoresPoliteSignals(t *testing.T) {
	repo, _ := checkout(t)
	gate := fakegen.NewGate(t)
	cmd := command(t, repo, "-gate", gate.Addr(), "-fault", "hang")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := gate.Next(fakegen.Generator)
	said := make([]byte, 64)
	if n, err := stdout.Read(said); err != nil || !bytes.Contains(said[:n], []byte("hanging")) {
		t.Errorf("said %q, %v", said[:n], err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(p.PID, signal); err != nil || p.Gone() {
			t.Errorf("%s: %v, gone %t", signal, err, p.Gone())
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	p.WaitGone()
	cmd.Wait()
}

func TestChildrenOutliveTheGenerator(t *testing.T) {
	repo, _ := checkout(t)
	gate := fakegen.NewGate(t)
	cmd := command(t, repo, "-gate", gate.Addr(), "-fault", "children")
	// A file of ours: Wait would wait for the children to close a pipe of its.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	gate.Next(fakegen.Generator).WaitGone()
	child, session := gate.Next(fakegen.Child), gate.Next(fakegen.Session)
	for _, p := range []*fakegen.Process{child, session} {
		if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil || p.Gone() {
			t.Errorf("%s: SIGTERM: %v, gone %t", p.Role, err, p.Gone())
		}
	}
	if group, err := syscall.Getpgid(session.PID); err != nil || group != session.PID {
		t.Errorf("the session's group is %d, %v; want its own, %d", group, err, session.PID)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	child.WaitGone()
	if session.Gone() {
		t.Error("the process with its own session went with the group")
	}
	if err := syscall.Kill(session.PID, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	session.WaitGone()
	// The end comes only now that nobody has the output open.
	if log, err := io.ReadAll(r); err != nil || !bytes.Contains(log, []byte("31 files")) {
		t.Errorf("log %q, %v", log, err)
	}
	if n := gate.Waiting(fakegen.Generator); n != 0 {
		t.Errorf("%d more generators, want none", n)
	}
}

func TestPoisonedRepositoryRunsPrograms(t *testing.T) {
	repo, _ := checkout(t)
	marker := filepath.Join(t.TempDir(), "marker")
	linked := filepath.Join(t.TempDir(), "linked")
	repo.Git("worktree", "add", "--quiet", "--detach", linked)
	cmd := command(t, repo, "-fault", "git "+marker)
	cmd.Dir = linked
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("there is a marker before any git command")
	}
	repo.Git("status")
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("git status ran nothing: %v", err)
	}
}
