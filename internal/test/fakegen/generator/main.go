// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Command generator is a small site generator with faults that can be switched
// on. Package fakegen documents it and builds it for tests.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	out := flag.String("out", "_site", "output directory")
	gate := flag.String("gate", "", "address to report to")
	faults := flag.String("fault", "", "faults, separated by semicolons, in place of those in fault.txt")
	role := flag.String("role", "generator", "what this process is, for those that it starts itself")
	flag.Parse()
	g := generator{out: *out, commit: commit(), gate: dial(*gate, *role), gateAddr: *gate}
	if *role != "generator" {
		os.NewFile(3, "ready").Close() // see startChildren
		g.linger()
	}
	if err := g.run(readFaults(*faults)); err != nil {
		fmt.Fprintln(os.Stderr, "generator:", err)
		os.Exit(1)
	}
}

// faultFile switches faults on from within the repository.
const faultFile = "fault.txt"

// faults maps those that are on to their arguments.
type faults map[string][]string

// arg returns the first argument of a fault.
func (f faults) arg(name, otherwise string) string {
	if args := f[name]; len(args) > 0 {
		return args[0]
	}
	return otherwise
}

func (f faults) number(name string, otherwise int) int {
	n, err := strconv.Atoi(f.arg(name, strconv.Itoa(otherwise)))
	if err != nil {
		fmt.Fprintf(os.Stderr, "generator: fault %s: %v\n", name, err)
		os.Exit(1)
	}
	return n
}

// known are all faults.
var known = []string{
	"ok", "plain", "pages", "hold", "slow", "crash", "kill", "hang", "children", "partial",
	"empty", "missing", "flood", "env", "git", "symlink", "badname",
}

func readFaults(text string) faults {
	if text == "" {
		content, err := os.ReadFile(faultFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(os.Stderr, "generator:", err)
			os.Exit(1)
		}
		text = string(content)
	}
	on := faults{}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ';' }) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		// A test that misspells a fault must not pass.
		if !slices.Contains(known, words[0]) {
			fmt.Fprintf(os.Stderr, "generator: there is no fault %q\n", words[0])
			os.Exit(1)
		}
		on[words[0]] = words[1:]
	}
	return on
}

type generator struct {
	out      string
	commit   string
	gate     net.Conn // nil without one
	gateAddr string
}

// run makes the site, with what is to go wrong at the place where it would.
func (g *generator) run(on faults) error {
	_, plain := on["plain"]
	s := site{commit: g.commit, plain: plain, url: cmp.Or(os.Getenv("SITE_URL"), "http://localhost:3000/"), files: map[string][]byte{}}
	if err := s.read(g.out, on); err != nil {
		return err
	}
	if _, ok := on["git"]; ok {
		if err := poisonGit(on.arg("git", "poisoned")); err != nil {
			return err
		}
	}
	if _, ok := on["children"]; ok {
		if err := g.startChildren(); err != nil {
			return err
		}
	}
	if _, ok := on["flood"]; ok {
		flood(on.number("flood", 100<<20), len(on["flood"]) > 1)
	}
	if _, ok := on["missing"]; ok {
		return nil
	}
	if err := os.MkdirAll(g.out, 0o755); err != nil {
		return err
	}
	if _, ok := on["empty"]; ok {
		return nil
	}
	if err := g.write(s.files, on); err != nil {
		return err
	}
	fmt.Printf("generator: %d files of commit %s\n", len(s.files), g.commit)
	return nil
}

// write writes the files. Half way through is where generators die.
func (g *generator) write(files map[string][]byte, on faults) error {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	_, partial := on["partial"]
	pause := time.Duration(on.number("slow", 0)) * time.Millisecond / time.Duration(max(len(names), 1))
	for i, name := range names {
		if i == len(names)/2 {
			g.halfway(on)
		}
		time.Sleep(pause)
		if partial && i%10 != 0 {
			continue
		}
		target := filepath.Join(g.out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, files[name], 0o644); err != nil {
			return err
		}
	}
	if _, ok := on["symlink"]; ok {
		return os.Symlink(on.arg("symlink", "/etc/passwd"), filepath.Join(g.out, "link.html"))
	}
	return nil
}

func (g *generator) halfway(on faults) {
	if _, ok := on["hold"]; ok {
		g.hold()
	}
	if _, ok := on["crash"]; ok {
		fmt.Fprintln(os.Stderr, "generator: crashing, as told")
		os.Exit(on.number("crash", 3))
	}
	if _, ok := on["kill"]; ok {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	if _, ok := on["hang"]; ok {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		fmt.Println("generator: hanging, as told")
		g.linger()
	}
}

// hello is what a process tells the gate of itself.
type hello struct {
	Role   string `json:"role"`
	PID    int    `json:"pid"`
	Commit string `json:"commit"`
}

// dial reports this process to the gate. The connection stays open for as long
// as the process lives, which is how the other side knows.
func dial(addr, role string) net.Conn {
	if addr == "" {
		return nil
	}
	if role != "generator" {
		// Whoever hears of this process must find it as it will be.
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	}
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		err = json.NewEncoder(conn).Encode(hello{role, os.Getpid(), commit()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generator: gate:", err)
		os.Exit(1)
	}
	return conn
}

// hold waits until the gate lets this process go on.
func (g *generator) hold() {
	if g.gate == nil {
		fmt.Fprintln(os.Stderr, "generator: hold needs -gate")
		os.Exit(1)
	}
	fmt.Println("generator: holding, as told")
	fmt.Fprintln(g.gate, "holding")
	if _, err := bufio.NewReader(g.gate).ReadString('\n'); err != nil {
		os.Exit(1) // the test is over
	}
}

// linger never returns. The process ends with the test, or after some minutes
// where it has no gate.
func (g *generator) linger() {
	if g.gate != nil {
		g.gate.Read(make([]byte, 1))
		os.Exit(1)
	}
	time.Sleep(5 * time.Minute)
	os.Exit(1)
}

// startChildren starts a process that stays in the process group and one with
// a session of its own. Both keep this process's output open and ignore polite
// signals, as servers that a script forgot to stop do.
func (g *generator) startChildren() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, role := range []string{"child", "session"} {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		cmd := exec.Command(self, "-role", role, "-gate", g.gateAddr)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{w}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: role == "session"}
		if err := cmd.Start(); err != nil {
			return err
		}
		w.Close()
		r.Read(make([]byte, 1)) // the end, once it is ready
		r.Close()
	}
	return nil
}

// flood prints about size bytes, in lines or in one.
func flood(size int, oneLine bool) {
	end := "\n"
	if oneLine {
		end = " "
	}
	line := strings.Repeat("all work and no play ", 50) + end
	w := bufio.NewWriterSize(os.Stdout, 1<<16)
	for printed := 0; printed < size; printed += len(line) {
		w.WriteString(line)
	}
	w.Flush()
}

// poisonGit writes into the repository that the checkout belongs to whatever
// would make git run a program: "touch marker".
func poisonGit(marker string) error {
	dir, err := commonDir()
	if err != nil {
		return err
	}
	touch := "touch '" + marker + "'"
	config, err := os.OpenFile(filepath.Join(dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer config.Close()
	_, err = fmt.Fprintf(config, `
[core]
	fsmonitor = "%[1]s"
	sshCommand = "%[1]s"
	askPass = "%[1]s"
	gitProxy = "%[1]s"
	hooksPath = %[2]s
[credential]
	helper = "!%[1]s"
[filter "lfs"]
	smudge = "%[1]s; cat"
	process =
	required = true
[filter "poison"]
	smudge = "%[1]s; cat"
[protocol "ext"]
	allow = always
[remote "origin"]
	uploadpack = "%[1]s; git-upload-pack"
	vcs = ext
[url "file:///nonexistent/"]
	insteadOf = https://
	insteadOf = http://
	insteadOf = file://
`, touch, filepath.Join(dir, "hooks"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "info"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "info", "attributes"), []byte("* filter=poison\n"), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "hooks"), 0o755); err != nil {
		return err
	}
	for _, hook := range []string{"post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "fsmonitor-watchman"} {
		if err := os.WriteFile(filepath.Join(dir, "hooks", hook), []byte("#!/bin/sh\n"+touch+"\n"), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// commonDir returns the directory of the repository itself, which a linked
// worktree shares with others.
func commonDir() (string, error) {
	info, err := os.Stat(".git")
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return filepath.Abs(".git")
	}
	content, err := os.ReadFile(".git")
	if err != nil {
		return "", err
	}
	dir := strings.TrimPrefix(strings.TrimSpace(string(content)), "gitdir: ")
	common, err := os.ReadFile(filepath.Join(dir, "commondir"))
	if err != nil {
		return "", err
	}
	target := strings.TrimSpace(string(common))
	if filepath.IsAbs(target) {
		return target, nil
	}
	return filepath.Join(dir, target), nil
}

// commit returns the commit of the checkout, as far as it is known.
func commit() string {
	if c := os.Getenv("COMMIT"); c != "" {
		return c
	}
	out, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// site is the content of the output.
type site struct {
	commit string
	plain  bool // nothing tells the commit
	url    string
	files  map[string][]byte
	links  []link
	items  []item
}

type link struct{ path, title string }

// item is a post in the feed, see https://www.jsonfeed.org/version/1.1/.
type item struct {
	ID        string `json:"id"`
	URL       string `json:"url"`
	Title     string `json:"title"`
	Text      string `json:"content_text"`
	Published string `json:"date_published,omitempty"`
}

// read turns the checkout into files.
func (s *site) read(out string, on faults) error {
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := file != "." && strings.HasPrefix(d.Name(), ".") && d.Name() != ".well-known"
		switch {
		case hidden || filepath.Clean(out) == file:
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || file == faultFile:
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s.add(filepath.ToSlash(file), string(content))
		return nil
	})
	if err != nil {
		return err
	}
	for i := range on.number("pages", 0) {
		s.add(fmt.Sprintf("extra/%d.md", i), fmt.Sprintf("# Extra page %d\n\nMade of nothing.\n", i))
	}
	if _, ok := on["env"]; ok {
		env := os.Environ()
		slices.Sort(env)
		s.files["env.txt"] = []byte(strings.Join(env, "\n") + "\n")
	}
	if _, ok := on["badname"]; ok {
		s.files["bad-\xff.html"] = s.page("Bad name", "This file's name is not UTF-8.")
	}
	if _, ok := s.files["index.html"]; !ok {
		s.files["index.html"] = s.index()
	}
	s.files["404.html"] = s.page("Not found", "There is no such page.")
	s.files["blog.json"], err = s.feed()
	return err
}

// add turns one file of the checkout into one of the site: posts/a.md becomes
// posts/a/index.html.
func (s *site) add(name, content string) {
	ext := path.Ext(name)
	if ext != ".md" && ext != ".txt" {
		s.files[name] = []byte(content)
		return
	}
	base := strings.TrimSuffix(name, ext)
	target, url := base+"/index.html", base+"/"
	if path.Base(base) == "index" {
		target = base + ".html"
		url = strings.TrimSuffix(base, "index")
	}
	title := path.Base(base)
	if heading, _, _ := strings.Cut(content, "\n"); strings.HasPrefix(heading, "# ") {
		title = strings.TrimSpace(heading[2:])
	}
	s.files[target] = s.page(title, content)
	s.links = append(s.links, link{"/" + url, title})
	if strings.HasPrefix(name, "posts/") {
		s.items = append(s.items, item{s.url + url, s.url + url, title, content, s.published()})
	}
}

// published is the commit's time.
func (s *site) published() string {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil || s.plain {
		return ""
	}
	return time.Unix(seconds, 0).UTC().Format(time.RFC3339)
}

// page begins and ends with the commit, so that a page that is made of two
// can be told.
func (s *site) page(title, text string) []byte {
	return s.stamped(title, "<pre>"+html.EscapeString(text)+"</pre>")
}

func (s *site) stamped(title, body string) []byte {
	stamp := "<!-- commit " + s.commit + " -->\n"
	if s.plain {
		stamp = ""
	}
	return []byte(stamp + "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" + html.EscapeString(title) + "</title>\n" + body + "\n" + stamp)
}

func (s *site) index() []byte {
	var body strings.Builder
	for _, l := range s.links {
		fmt.Fprintf(&body, "<p><a href=\"%s\">%s</a></p>\n", html.EscapeString(l.path), html.EscapeString(l.title))
	}
	return s.stamped("Index", body.String())
}

func (s *site) feed() ([]byte, error) {
	feed, err := json.MarshalIndent(map[string]any{
		"version":       "https://jsonfeed.org/version/1.1",
		"title":         "Test site",
		"home_page_url": s.url,
		"feed_url":      s.url + "blog.json",
		"items":         append([]item{}, s.items...),
	}, "", "  ")
	return append(feed, '\n'), err
}
