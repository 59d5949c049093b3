// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/mastoclients"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/syndicate/mastodontest"
)

// What the clients of others do with the server is what keeps it honest: their
// authors had Mastodon before them. The transcripts are in the log.

const password = "correct horse"

// start serves the fake with TLS, and returns the environment variables by which
// programs trust its certificate.
func start(t *testing.T, c mastodontest.Config) (*mastodontest.Server, *httptest.Server, []string) {
	t.Helper()
	fake := mastodontest.New(c)
	server := httptest.NewTLSServer(fake)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return fake, server, []string{"REQUESTS_CA_BUNDLE=" + file, "SSL_CERT_FILE=" + file, "NODE_EXTRA_CA_CERTS=" + file}
}

// dot writes a picture to a file.
func dot(t *testing.T) string {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 8, 8))
	picture.Set(4, 4, color.RGBA{255, 0, 0, 255})
	var content bytes.Buffer
	if err := png.Encode(&content, picture); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dot.png")
	if err := os.WriteFile(file, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestMastodonPyWorks(t *testing.T) {
	python := mastoclients.Python(t)
	fake, server, env := start(t, mastodontest.Config{MediaDelay: 200 * time.Millisecond})
	script, err := filepath.Abs("testdata/client.py")
	if err != nil {
		t.Fatal(err)
	}
	out := mastoclients.Run(t, mastoclients.Command(t, env, python, script, server.URL, "blog", password, dot(t)))
	if !strings.HasSuffix(out, "done\n") {
		t.Error("the program did not come to its end")
	}
	if n := len(fake.Statuses()); n != 6 {
		t.Errorf("the server took %d statuses, want 6", n)
	}
}

func TestMastoJSWorks(t *testing.T) {
	node, masto := mastoclients.Node(t)
	fake, server, env := start(t, mastodontest.Config{MediaDelay: 200 * time.Millisecond})
	script, err := filepath.Abs("testdata/client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	out := mastoclients.Run(t, mastoclients.Command(t, env, node, script, "file://"+masto, server.URL, "blog", password, dot(t)))
	if !strings.HasSuffix(out, "done\n") {
		t.Error("the program did not come to its end")
	}
	if n := len(fake.Statuses()); n != 5 {
		t.Errorf("the server took %d statuses, want 5", n)
	}
}

// Version 0.34.1 of toot cannot edit.
func TestTootWorks(t *testing.T) {
	toot := mastoclients.Toot(t)
	fake, server, env := start(t, mastodontest.Config{})
	home := "XDG_CONFIG_HOME=" + t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		return mastoclients.Run(t, mastoclients.Command(t, append(env, home), toot, append(args, "--no-color")...))
	}
	logIn(t, server, append(env, home), toot)
	if out := run("whoami"); !strings.Contains(out, "@blog") {
		t.Error("nobody is logged in")
	}
	out := run("post", "--visibility", "unlisted", "--media", dot(t), "--description", "A red dot", "--spoiler-text", "greeting",
		"--language", "de", "Hello from toot: https://blog.example/3")
	posted := regexp.MustCompile(`/@blog/(\d+)`).FindStringSubmatch(out)
	if posted == nil {
		t.Fatal("toot did not print where the status is")
	}
	run("post", "and more")
	if out := run("thread", posted[1]); !strings.Contains(out, "Hello from toot") || !strings.Contains(out, "/media/") {
		t.Error("the status is not as it was posted")
	}
	if out := run("timeline", "--once"); !strings.Contains(out, "Hello from toot") || !strings.Contains(out, "and more") {
		t.Error("the list lacks a status")
	}
	run("delete", posted[1])
	if out := run("timeline", "--once"); strings.Contains(out, "Hello from toot") {
		t.Error("the status is still there")
	}
	got := fake.Statuses()
	if len(got) != 2 || got[0].Application != "toot - a Mastodon CLI client" || got[0].Media[0].Description != "A red dot" || got[0].Language != "de" || !got[0].Deleted {
		t.Errorf("the server has %+v", got)
	}
}

// logIn does what toot asks a person to do: visit an address, type a code.
func logIn(t *testing.T, server *httptest.Server, env []string, toot string) {
	t.Helper()
	cmd := mastoclients.Command(t, env, toot, "login", "--instance", strings.TrimPrefix(server.URL, "https://"), "--no-color")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out wait.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(cmd.Env, "PYTHONUNBUFFERED=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(stdin, "n") // do not open a browser
	address := regexp.MustCompile(`https://\S+/oauth/authorize\S+`)
	wait.Until(t, "toot printed an address", func() bool { return address.MatchString(out.String()) })
	fmt.Fprintln(stdin, agree(t, server.Client(), address.FindString(out.String())))
	err = cmd.Wait()
	t.Logf("$ toot login\n%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
}

// agree is what a person does in a browser.
func agree(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("username", "blog")
	form.Set("password", password)
	u.RawQuery = ""
	resp, err := client.PostForm(strings.TrimSuffix(u.String(), "/"), form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`<code>(.*)</code>`).FindSubmatch(page)
	if code == nil {
		t.Fatalf("there is no code on the page, status %d:\n%s", resp.StatusCode, page)
	}
	return string(code[1])
}
