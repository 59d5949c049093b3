// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killMarked kills every process whose environment has the variable mark with
// a value that begins with prefix, and reports how many there were. A prefix
// that ends in a NUL is a whole value. Processes with the value except stay. It finds
// what left the process group, and what outlived a killed host, without a
// record that could be missing or stale.
func killMarked(mark, prefix, except string) int {
	want, spare := []byte(mark+"="+prefix), []byte(mark+"="+except+"\x00")
	killed := map[int]bool{}
	// A process may fork while the list is read: look until nobody is left.
	for range 50 {
		pids := marked(want, spare)
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed[pid] = true
			}
		}
		time.Sleep(2 * time.Millisecond) // for the kernel to take them away
	}
	return len(killed)
}

// marked lists the living processes that carry one mark and not the other.
func marked(want, spare []byte) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range names {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !hasVariable(env, want) || hasVariable(env, spare) {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		_, state, ok := strings.Cut(string(stat), ") ")
		if err != nil || !ok || strings.HasPrefix(state, "Z") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// hasVariable reports whether a variable in env begins with start.
func hasVariable(env, start []byte) bool {
	return bytes.HasPrefix(env, start) || bytes.Contains(env, append([]byte{0}, start...))
}
