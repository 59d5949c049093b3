// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package ircd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

// Server is one that runs.
type Server struct {
	Plain string // address without TLS
	TLS   string // address with TLS, empty if there is none
	// Certificate, in PEM, is that of the server, made by itself.
	Certificate []byte
}

// Options say what InspIRCd has.
type Options struct {
	// Services are NickServ and SASL.
	Services bool
	// NoSASL leaves out SASL, so that NickServ is the only way to log in.
	NoSASL bool
	// Poor leaves out the extensions by which a client knows that a message has
	// arrived.
	Poor bool
	// Patient takes lines as fast as they come.
	Patient bool
}

// Roots are the certificate of the server, as a pool.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.Certificate)
	return pool
}

// NewCertificate makes a certificate for localhost. Clients can have one, too.
func NewCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// InspIRCd starts one.
func InspIRCd(t testing.TB, o Options) *Server {
	t.Helper()
	program := need.Program(t, "inspircd", "apt-get install inspircd")
	dir := t.TempDir()
	s := &Server{Plain: loopback.FreeAddress(t), TLS: loopback.FreeAddress(t)}
	certificate := NewCertificate(t)
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	write(t, dir, "cert.pem", string(s.Certificate))
	write(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	services, link := loopback.FreeAddress(t), "linkpassword"
	conf := inspircdConf(dir, s, o)
	if o.Services {
		conf += fmt.Sprintf(`<module name="spanningtree"><module name="services_account">
<bind address="127.0.0.1" port="%s" type="servers">
<link name="services.test" ipaddr="127.0.0.1" port="1" allowmask="127.0.0.1" sendpass=%q recvpass=%q>
<uline server="services.test" silent="yes">
`, port(services), link, link)
	}
	if o.Services && !o.NoSASL {
		conf += `<module name="sasl"><sasl target="services.test">`
	}
	args := []string{"--nofork", "--config", write(t, dir, "inspircd.conf", conf)}
	if os.Geteuid() == 0 {
		args = append(args, "--runasroot")
	}
	start(t, dir, program, args...)
	s.waitFor(t)
	if o.Services {
		s.startServices(t, port(services), link, o.NoSASL)
	}
	return s
}

func inspircdConf(dir string, s *Server, o Options) string {
	conf := fmt.Sprintf(`<server name="irc.test" description="test" network="Test" id="001">
<admin name="test" description="test" email="test@example.com">
<bind address="127.0.0.1" port=%q type="clients">
<bind address="127.0.0.1" port=%q type="clients" sslprofile="tls">
<module name="ssl_gnutls"><module name="sslinfo"><module name="cap">
<sslprofile name="tls" provider="gnutls" certfile=%q keyfile=%q hash="sha256" requestclientcert="yes">
<connect name="main" allow="*" timeout="60" pingfreq="60" hardsendq="1M" softsendq="128K" recvq="64K" threshold="10"
 commandrate="1000" fakelag="yes" localmax="1000" globalmax="1000" useident="no" resolvehostnames="no">
<pid file=%q>
<dns server="127.0.0.1">
<performance clonesonconnect="no">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target=%q>
`, port(s.Plain), port(s.TLS), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"),
		filepath.Join(dir, "pid"), filepath.Join(dir, "log"))
	if !o.Poor {
		conf += `<module name="ircv3"><module name="ircv3_batch"><module name="ircv3_echomessage"><module name="ircv3_labeledresponse">
<module name="ircv3_msgid"><module name="ircv3_ctctags"><module name="ircv3_servertime"><module name="ircv3_capnotify">
`
	}
	if o.Patient {
		conf = strings.NewReplacer(`fakelag="yes"`, `fakelag="no"`, `threshold="10"`, `threshold="10000"`).Replace(conf)
	}
	return conf
}

// startServices links services to the server, and waits until they are there.
func (s *Server) startServices(t testing.TB, port, password string, noSASL bool) {
	t.Helper()
	program := need.Program(t, "atheme-services", "apt-get install atheme-services")
	dir := t.TempDir()
	var modules strings.Builder
	for _, m := range []string{
		"protocol/inspircd", "backend/opensex", "crypto/pbkdf2v2", "nickserv/main", "nickserv/identify", "nickserv/register",
		"nickserv/cert", "saslserv/main", "saslserv/plain", "saslserv/external",
	} {
		fmt.Fprintf(&modules, "loadmodule \"modules/%s\";\n", m)
	}
	conf := modules.String() + fmt.Sprintf(`
serverinfo { name = "services.test"; desc = "services"; numeric = "00A"; recontime = 1; netname = "Test"; adminname = "test";
 adminemail = "test@example.com"; registeremail = "test@example.com"; auth = none; casemapping = rfc1459; maxlogins = 20; };
uplink "irc.test" { host = "127.0.0.1"; port = %s; send_password = %q; receive_password = %q; };
nickserv { nick = "NickServ"; user = "NickServ"; host = "services.test"; real = "Nickname Services"; maxnicks = 5; };
saslserv { nick = "SaslServ"; user = "SaslServ"; host = "services.test"; real = "SASL"; };
general { silent; commit_interval = 5; };
`, port, password, password)
	start(t, dir, program, "-n", "-c", write(t, dir, "atheme.conf", conf), "-D", dir, "-p", filepath.Join(dir, "pid"), "-l", filepath.Join(dir, "log"))
	probe := s.Client(t, "probe")
	wait.Until(t, "the services are linked", func() bool {
		question, answer := "WHOIS NickServ", " 312 "
		if !noSASL {
			question, answer = "CAP LS 302", "sasl="
		}
		probe.Say(question)
		return slices.ContainsFunc(probe.Lines(), func(line string) bool { return strings.Contains(line, answer) })
	})
	probe.Say("QUIT")
}

// Ngircd starts one.
func Ngircd(t testing.TB) *Server {
	t.Helper()
	program := need.Program(t, "ngircd", "apt-get install ngircd")
	s := &Server{Plain: loopback.FreeAddress(t)}
	dir := t.TempDir()
	conf := fmt.Sprintf("[Global]\nName = poor.test\nInfo = test\nAdminEMail = test@example.com\nPorts = %s\nListen = 127.0.0.1\n"+
		"[Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\n[Options]\nDNS = no\nIdent = no\nPAM = no\n", port(s.Plain))
	if uid := os.Geteuid(); uid == 0 {
		conf = strings.Replace(conf, "Listen", "ServerUID = nobody\nServerGID = nogroup\nListen", 1)
	}
	start(t, dir, program, "-n", "-f", write(t, dir, "ngircd.conf", conf))
	s.waitFor(t)
	return s
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a program until the test ends, or the test process does, whatever
// ends that: then a shell sees the end of its input. (A signal at the death of the
// parent does not do, since ngircd becomes another user, which takes that off.)
func start(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	const script = `"$@" </dev/null & server=$!; read -r end; kill "$server"; wait "$server"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", program}, args...)...)
	cmd.Dir = dir
	var output wait.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		stdin.Close()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(program), output.String())
		}
	})
}

// waitFor waits until the server takes connections.
func (s *Server) waitFor(t testing.TB) {
	t.Helper()
	wait.Until(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", s.Plain)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}
