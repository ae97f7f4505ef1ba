package peer

import "syscall"

// attributes gives the peer a process group of its own, and ends it when the
// test binary dies without cleaning up.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
