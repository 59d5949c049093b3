// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
)

// Kernel is a virtual machine with the WireGuard of the Linux kernel, which shares no
// code with ours. It has two tunnels, of which the second has a preshared key, and on
// port 80 inside both what [xeiaso.net/site/internal/test/wgnet/guest] serves.
type Kernel struct {
	// Tunnels are the ends of the tunnels.
	Tunnels [2]KernelTunnel

	vm *process
}

// KernelTunnel is an end of a tunnel in the virtual machine.
type KernelTunnel struct {
	Inside4, Inside6 netip.Addr
	// Endpoint is on loopback of home.
	Endpoint string

	key, client key
	preshared   string // empty: none
	client4     netip.Addr
	client6     netip.Addr
}

// bootTimeout is for all of a start. Without the help of the processor it takes half a
// minute on an idle machine.
const bootTimeout = 5 * time.Minute

// Kernel boots the virtual machine, until the test ends. Root is where a Debian package
// of a kernel for amd64 was unpacked.
func (n *Network) Kernel(t testing.TB, root string) *Kernel {
	t.Helper()
	k := &Kernel{}
	n.kernels = append(n.kernels, k)
	var forwards strings.Builder
	for i := range k.Tunnels {
		k.Tunnels[i] = n.kernelTunnel(t, i)
		_, port, _ := strings.Cut(k.Tunnels[i].Endpoint, ":")
		fmt.Fprintf(&forwards, ",hostfwd=udp:127.0.0.1:%s-10.0.2.15:%d", port, 51820+i)
	}
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, k.image(t, root), 0o600); err != nil { // it has the keys
		t.Fatal(err)
	}
	kernels, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		t.Fatalf("there is not one kernel in %s: %q, %v", root, kernels, err)
	}
	qemu := need.Program(t, "qemu-system-x86_64", "apt-get install qemu-system-x86")
	k.vm, err = start(n.Home.Command(nothing, qemu,
		"-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", kernels[0], "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
		"-netdev", "user,id=net"+forwards.String(), "-device", "virtio-net-pci,netdev=net,romfile=",
	))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the virtual machine:\n%s", k.vm.log())
		}
		if err := k.vm.kill(); err != nil {
			t.Error(err)
		}
	})
	if err := k.boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// boot waits until the guest says that it is ready.
func (k *Kernel) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text := k.vm.output.String()
		switch {
		case strings.Contains(text, "guest: ready"):
			return nil
		case strings.Contains(text, "guest: failed"):
			return errors.New("the guest cannot be set up")
		}
		select {
		case <-tick.C:
		case <-k.vm.exited:
			return errors.New("the virtual machine has ended")
		case <-ctx.Done():
			return fmt.Errorf("the virtual machine does not boot: %w", ctx.Err())
		}
	}
}

// kernelTunnel chooses keys and addresses. Nobody else uses ports of home.
func (n *Network) kernelTunnel(t testing.TB, i int) KernelTunnel {
	t.Helper()
	probe, err := n.Home.listenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	addr := func(format string) netip.Addr { return netip.MustParseAddr(fmt.Sprintf(format, i+1)) }
	k := KernelTunnel{
		Inside4: addr("10.9.%d.1"), Inside6: addr("fd09:0:0:%d::1"), client4: addr("10.9.%d.2"), client6: addr("fd09:0:0:%d::2"),
		Endpoint: probe.LocalAddr().String(), key: newKey(), client: newKey(),
	}
	if i == 1 {
		k.preshared = newSharedKey()
	}
	return k
}

// conf is for "wg setconf" in the guest.
func (k *KernelTunnel) conf(port int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nListenPort = %d\n[Peer]\nPublicKey = %s\nAllowedIPs = %s/32, %s/128\n",
		k.key.private, port, k.client.public, k.client4, k.client6)
	if k.preshared != "" {
		fmt.Fprintf(&b, "PresharedKey = %s\n", k.preshared)
	}
	return b.Bytes()
}

// ClientConfig is a file of wg-quick for the client.
func (k *KernelTunnel) ClientConfig() string {
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = %s/24, %s/64\n[Peer]\nPublicKey = %s\nAllowedIPs = %s/24, %s/64\nEndpoint = %s\n",
		k.client.private, k.client4, k.client6, k.key.public, k.Inside4, k.Inside6, k.Endpoint)
	if k.preshared != "" {
		text += "PresharedKey = " + k.preshared + "\n"
	}
	return text
}

func (k *KernelTunnel) secrets() []string {
	all := append(k.key.secrets(), k.client.secrets()...)
	if k.preshared != "" {
		all = append(all, k.preshared, toHex(k.preshared))
	}
	return all
}

// image makes the file system of the guest: busybox, wg with its libraries, the modules
// in their order, and the server.
func (k *Kernel) image(t testing.TB, root string) []byte {
	t.Helper()
	var a archive
	add := func(name, from string) {
		t.Helper()
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		a.file(name, 0o755, content)
	}
	for _, dir := range []string{"proc", "sys", "dev", "etc"} {
		a.dir(dir)
	}
	add("bin/busybox", need.Program(t, "busybox", "apt-get install busybox-static"))
	wg := need.Program(t, "wg", "apt-get install wireguard-tools")
	add("bin/wg", wg)
	for _, library := range libraries(t, wg) {
		add(library, library)
	}
	add("bin/guest", guest(t))
	var load strings.Builder
	for i, module := range modules(t, root, "virtio_pci", "virtio_net", "wireguard") {
		name := fmt.Sprintf("modules/%02d-%s", i, filepath.Base(module))
		add(name, module)
		fmt.Fprintf(&load, "insmod /%s || fail\n", name)
	}
	for i := range k.Tunnels {
		a.file(fmt.Sprintf("etc/wg%d", i), 0o600, k.Tunnels[i].conf(51820+i))
		fmt.Fprintf(&load, "tunnel wg%d %s/24 %s/64\n", i, k.Tunnels[i].Inside4, k.Tunnels[i].Inside6)
	}
	a.file("init", 0o755, []byte(strings.Replace(initScript, "LOAD\n", load.String(), 1)))
	return a.bytes()
}

// initScript is the first process of the guest.
const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
fail() { echo "guest: failed"; poweroff -f; }
tunnel() {
	ip link add "$1" type wireguard && wg setconf "$1" "/etc/$1" && ip address add "$2" dev "$1" &&
		ip link set "$1" mtu 1420 up && ip -6 address add "$3" dev "$1" || fail
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ip link set lo up
echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
LOAD
ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2 || fail
guest &
for i in 1 2 3 4 5 6 7 8 9 10; do
	wget -q -O /dev/null http://127.0.0.1/ && break
	sleep 1
done
echo "guest: ready"
wait
fail
`

// modules returns the files of kernel modules, and of those that they need, in the
// order to load them in.
func modules(t testing.TB, root string, names ...string) (files []string) {
	t.Helper()
	versions, err := filepath.Glob(filepath.Join(root, "lib", "modules", "*"))
	if err != nil || len(versions) != 1 {
		t.Fatalf("there are not modules of one kernel in %s: %q, %v", root, versions, err)
	}
	version := filepath.Base(versions[0])
	if out, err := exec.Command(need.Program(t, "depmod", "apt-get install kmod"), "-b", root, version).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v: %s", err, out)
	}
	seen := map[string]bool{}
	for _, name := range names {
		out, err := exec.Command(need.Program(t, "modprobe", "apt-get install kmod"), "-d", root, "-S", version, "--show-depends", name).CombinedOutput()
		if err != nil {
			t.Fatalf("modprobe: %v: %s", err, out)
		}
		for _, match := range regexp.MustCompile(`(?m)^insmod (\S+)`).FindAllSubmatch(out, -1) {
			if file := string(match[1]); !seen[file] {
				seen[file] = true
				files = append(files, file)
			}
		}
	}
	return files
}

// libraries returns those that a program is linked with.
func libraries(t testing.TB, program string) (files []string) {
	t.Helper()
	out, err := exec.Command(need.Program(t, "ldd", "apt-get install libc-bin"), program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(/\S+) \(0x`).FindAllSubmatch(out, -1) {
		files = append(files, string(match[1]))
	}
	return files
}

// guest builds the server.
func guest(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest")
	cmd := exec.Command("go", "build", "-trimpath", "-o", file, "xeiaso.net/site/internal/test/wgnet/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v: %s", err, out)
	}
	return file
}
