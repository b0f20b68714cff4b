/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages through sockets of this machine (kernel: net/socket.c, net/unix/af_unix.c). Who finds a
 * message without having slept was woken up by nobody, so that no other record tells of it.
 */
#pragma once

#define SENT     14 /* other: bytes; value: the socket that it comes to */
#define RECEIVED 15 /* other: bytes; value: the socket that it came to */

/* It stays where it is, to be received again. */
#define MSG_PEEK 2

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock;

struct unix_sock {
	struct sock *peer;
};

#pragma clang attribute pop

/* What the tracepoints tell, for both. */
struct socket_event {
	u64 common;
	u64 socket;
	u16 family, protocol;
	s32 bytes, flags;
};

#define AF_UNIX 1

static __always_inline int message(u32 kind, u64 socket, s64 bytes)
{
	struct task_struct *current = bpf_get_current_task_btf();

	if (bytes <= 0 || !socket || !here() || !wanted(current))
		return 0;
	tell(current);
	return happens(kind, current->pid, bytes, socket);
}

/*
 * These are the old tracepoints: where tasks are preempted in the kernel, one may be while it is in
 * a program of another kind, which is then not called on its CPU until it runs again.
 */
SEC("tp/sock/sock_send_length") int sends(struct socket_event *event)
{
	if (event->family != AF_UNIX || !EXISTS((struct unix_sock *)0, peer))
		return 0;
	return message(SENT, (u64)typed(struct unix_sock, event->socket)->peer, event->bytes);
}

SEC("tp/sock/sock_recv_length") int receives(struct socket_event *event)
{
	if (event->family != AF_UNIX || event->flags & MSG_PEEK)
		return 0;
	return message(RECEIVED, event->socket, event->bytes);
}
