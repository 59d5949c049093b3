// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// archive is a file system that the kernel unpacks into memory when it boots, in the
// format that cpio calls newc.
type archive struct {
	b     bytes.Buffer
	nodes int
	dirs  []string
}

const (
	modeDir  = 0o040755
	modeFile = 0o100000
)

// file adds one, and the folders that it is in.
func (a *archive) file(name string, mode int, content []byte) {
	a.dir(path.Dir(name))
	a.add(name, modeFile|mode, content)
}

func (a *archive) dir(name string) {
	name = strings.TrimPrefix(name, "/")
	if name == "" || name == "." || slices.Contains(a.dirs, name) {
		return
	}
	a.dir(path.Dir(name))
	a.dirs = append(a.dirs, name)
	a.add(name, modeDir, nil)
}

func (a *archive) add(name string, mode int, content []byte) {
	name = strings.TrimPrefix(name, "/")
	a.nodes++
	// inode, mode, user, group, links, time, size, device and its kind twice two, the
	// length of the name, and a sum that this variant has not.
	fmt.Fprintf(&a.b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", a.nodes, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	a.b.WriteString(name + "\x00")
	a.pad()
	a.b.Write(content)
	a.pad()
}

func (a *archive) pad() {
	for a.b.Len()%4 != 0 {
		a.b.WriteByte(0)
	}
}

// bytes ends the archive.
func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, nil)
	return a.b.Bytes()
}
