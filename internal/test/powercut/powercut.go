// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package powercut tells what a directory may look like after the power failed
// while a program was writing to it.
//
// # Overview
//
//	rec := powercut.Record(t, dir, exec.Command(os.Args[0]))
//	rec.Each(t, 1, func(t *testing.T, dir string) {
//		// dir is the directory as it was found after a cut
//	})
//
// The program runs under strace, unchanged; what it did to the directory is
// read from the list of its system calls. After each of them there are three
// directories to be found:
//
//   - everything is there: the program was killed;
//   - names and contents are there as far as they were synced, and no further;
//   - all names are there, but contents that were not synced are empty, as
//     some file systems leave them.
//
// A content is durable after fsync of its file, a name after fsync of its
// directory, and both after syncfs. See "All File Systems Are Not Created
// Equal", OSDI 2014, for what file systems really do in between.
package powercut

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

// inode is a file's content. It is written from its beginning to its end: what
// else a program may do, such as copy_file_range, is not for this package.
type inode struct {
	dir     bool
	content []byte
	// written says that there was a write since the last sync, empty that the
	// file was never synced: nothing of it need be there.
	written, empty bool
}

// tree maps names relative to the directory to what they name.
type tree map[string]*inode

// Recording is what a program did to a directory.
type Recording struct {
	dir     string
	calls   []call
	initial tree
}

// call is one system call that changed something.
type call struct {
	line             string // as strace has it
	name             string
	paths            []string // relative to the directory; "" where they are not below it
	create, truncate bool
	data             []byte // that was written
}

// syscalls are those that change names or contents, or make them durable.
const syscalls = "openat,mkdirat,renameat,renameat2,unlinkat,linkat,symlinkat,write,pwrite64,writev,ftruncate,copy_file_range,sendfile,splice,fsync,fdatasync,syncfs"

// maxData is the longest write that strace shows.
const maxData = 64 << 20

// Record runs cmd, which must succeed, and notes what it does below dir.
func Record(t testing.TB, dir string, cmd *exec.Cmd) *Recording {
	t.Helper()
	strace := need.Program(t, "strace", "apt install strace")
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := &Recording{dir: dir, initial: read(t, dir)}
	log := filepath.Join(t.TempDir(), "strace")
	cmd.Args = append([]string{strace, "-f", "-y", "-xx", "-s", strconv.Itoa(maxData), "-o", log, "-e", "trace=" + syscalls, "--", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = strace
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") {
			need.Missing(t, "this machine forbids ptrace", "allow it, or run the tests elsewhere")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	rec.parse(t, string(b))
	return rec
}

// read reads a directory.
func read(t testing.TB, dir string) tree {
	t.Helper()
	files := tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		node := &inode{dir: d.IsDir()}
		if !node.dir {
			if node.content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		name, err := filepath.Rel(dir, path)
		files[name] = node
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	lineForm  = regexp.MustCompile(`^(\d+) +(.*)$`)
	callForm  = regexp.MustCompile(`^(\w+)\((.*)\) += +(-?\d+)`)
	nameForm  = regexp.MustCompile(`(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]*)"`)
	fdForm    = regexp.MustCompile(`^\d+<([^>]*)>`)
	unfinForm = regexp.MustCompile(`^(.*) <unfinished \.\.\.>$`)
	hexForm   = regexp.MustCompile(`\\x[0-9a-f]{2}`)
	resumed   = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
)

// parse reads strace's lines. A call counts when it has returned.
func (r *Recording) parse(t testing.TB, log string) {
	t.Helper()
	unfinished := map[string]string{}
	for line := range strings.Lines(log) {
		m := lineForm.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		pid, text := m[1], m[2]
		if u := unfinForm.FindStringSubmatch(text); u != nil {
			unfinished[pid] = u[1]
			continue
		}
		if u := resumed.FindStringSubmatch(text); u != nil {
			text = unfinished[pid] + u[1]
		}
		if c, ok := r.call(t, text); ok {
			r.calls = append(r.calls, c)
		}
	}
	if len(r.calls) == 0 {
		t.Fatal("the program changed nothing")
	}
}

// call reads one line.
func (r *Recording) call(t testing.TB, text string) (c call, ok bool) {
	m := callForm.FindStringSubmatch(text)
	if m == nil {
		return c, false
	}
	if result, err := strconv.Atoi(m[3]); err != nil || result < 0 {
		return c, false // it failed
	}
	c = call{line: unquote(text), name: m[1], create: strings.Contains(m[2], "O_CREAT"), truncate: strings.Contains(m[2], "O_TRUNC")}
	if c.name == "openat" && !c.create {
		return c, false
	}
	if fd := fdForm.FindStringSubmatch(m[2]); fd != nil && !strings.HasSuffix(c.name, "at") && !strings.HasSuffix(c.name, "at2") {
		c.paths = []string{r.relative("", unquote(fd[1]))}
		if data := nameForm.FindStringSubmatch(m[2]); data != nil {
			c.data = []byte(unquote(data[2]))
		}
	} else {
		for _, n := range nameForm.FindAllStringSubmatch(m[2], -1) {
			c.paths = append(c.paths, r.relative(unquote(n[1]), unquote(n[2])))
		}
	}
	for _, path := range c.paths {
		ok = ok || path != ""
	}
	if ok && !slices.Contains(known, c.name) {
		t.Fatalf("the program does what is not known here: %s", c.line)
	}
	return c, ok || c.name == "syncfs"
}

// known are the calls that apply understands.
var known = []string{"openat", "mkdirat", "renameat", "renameat2", "unlinkat", "write", "fsync", "fdatasync", "syncfs"}

// unquote decodes strace's hexadecimal digits.
func unquote(s string) string {
	return hexForm.ReplaceAllStringFunc(s, func(x string) string {
		b, _ := strconv.ParseUint(x[2:], 16, 8) // two digits
		return string([]byte{byte(b)})
	})
}

// relative returns a path relative to the directory: "." for itself, "" if it
// is elsewhere.
func (r *Recording) relative(at, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(at, path)
	}
	name, err := filepath.Rel(r.dir, path)
	if err != nil || !filepath.IsLocal(name) {
		return ""
	}
	return name
}

// disk is what there is after some calls: in memory, and on the disk.
type disk struct {
	now, durable tree
}

// Len returns the number of calls after which the power may fail.
func (r *Recording) Len() int { return len(r.calls) }

// Each calls check with the directories that may be found, each in turn, in a
// test of its own: with one of so many as step says.
func (r *Recording) Each(t *testing.T, step int, check func(t *testing.T, dir string)) {
	t.Helper()
	d := disk{now: clone(r.initial), durable: clone(r.initial)}
	seen := map[string]bool{}
	for i, c := range r.calls {
		d.apply(c)
		for kind, files := range map[string]tree{"killed": d.now, "synced": d.synced(), "emptied": d.emptied()} {
			key := describe(files)
			if seen[key] {
				continue
			}
			seen[key] = true
			if len(seen)%step != 0 {
				continue
			}
			dir := t.TempDir()
			write(t, dir, files)
			if !t.Run(fmt.Sprintf("%d-%s", i, kind), func(t *testing.T) { check(t, dir) }) {
				t.Logf("after: %s", c.line)
			}
			os.RemoveAll(dir)
		}
	}
}

func clone(files tree) tree {
	c := tree{}
	maps.Copy(c, files)
	return c
}

// apply does to the disk what a call did.
func (d *disk) apply(c call) {
	switch {
	case c.name == "openat":
		if node := d.now[c.paths[0]]; node == nil {
			d.now[c.paths[0]] = &inode{empty: true}
		} else if c.truncate {
			node.content, node.written = nil, true
		}
	case c.name == "mkdirat":
		d.now[c.paths[0]] = &inode{dir: true}
	case strings.HasPrefix(c.name, "rename"):
		from, to := c.paths[0], c.paths[1]
		node := d.now[from]
		delete(d.now, from)
		d.now[to] = node
	case c.name == "unlinkat":
		delete(d.now, c.paths[0])
	case c.name == "syncfs":
		for _, node := range d.now {
			node.written, node.empty = false, false
		}
		d.durable = clone(d.now)
	case strings.HasSuffix(c.name, "sync"):
		d.sync(c.paths[0])
	default: // a write
		if node := d.now[c.paths[0]]; node != nil {
			node.content, node.written = append(node.content[:len(node.content):len(node.content)], c.data...), true
		}
	}
}

// sync makes a content, or the names of a directory, durable.
func (d *disk) sync(path string) {
	if node := d.now[path]; node != nil && !node.dir {
		node.written, node.empty = false, false
		return
	}
	for name := range d.durable {
		if filepath.Dir(name) == path && d.now[name] == nil {
			delete(d.durable, name)
		}
	}
	for name, node := range d.now {
		if filepath.Dir(name) == path {
			d.durable[name] = node
		}
	}
}

// synced is what there is for sure.
func (d *disk) synced() tree {
	files := tree{}
	for name, node := range d.durable {
		if d.reachable(name) {
			files[name] = node.certain()
		}
	}
	return files
}

// reachable reports whether the directories above a name are durable.
func (d *disk) reachable(name string) bool {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		if d.durable[dir] == nil {
			return false
		}
	}
	return true
}

// emptied has all names, and only the contents that are there for sure.
func (d *disk) emptied() tree {
	files := tree{}
	for name, node := range d.now {
		files[name] = node.certain()
	}
	return files
}

// certain returns what is there of a content for sure.
func (n *inode) certain() *inode {
	if n.dir || !n.written && !n.empty {
		return n
	}
	return &inode{}
}

// describe returns a text that is the same for equal trees.
func describe(files tree) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%q %t %q\n", name, files[name].dir, files[name].content)
	}
	return b.String()
}

func write(t testing.TB, dir string, files tree) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) { // directories before what is in them
		path := filepath.Join(dir, name)
		var err error
		if files[name].dir {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, files[name].content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
