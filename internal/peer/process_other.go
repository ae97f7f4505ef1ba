//go:build unix && !linux

package peer

import "syscall"

// attributes gives the peer a process group of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
