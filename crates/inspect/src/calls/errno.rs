// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of errors (kernel: `include/uapi/asm-generic/errno.h`, `include/linux/errno.h`).

/// From 1 on; `-` where there is none.
const NAMES: &str = "EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM \
    EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY \
    ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS \
    ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE \
    EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE \
    ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG \
    ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ \
    EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT \
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET \
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH \
    EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM \
    EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE \
    ERFKILL EHWPOISON";
/// Those that only the kernel sees.
const OF_KERNEL: [(i64, &str); 9] = [
    (512, "ERESTARTSYS"),
    (513, "ERESTARTNOINTR"),
    (514, "ERESTARTNOHAND"),
    (515, "ENOIOCTLCMD"),
    (516, "ERESTART_RESTARTBLOCK"),
    (517, "EPROBE_DEFER"),
    (522, "ERECALLCONFLICT"),
    (524, "ENOTSUPP"),
    (529, "EIOCBQUEUED"),
];

/// The name of an error, by its positive number.
pub(super) fn name(number: i64) -> Option<&'static str> {
    let place = usize::try_from(number.checked_sub(1)?).ok()?;
    let common = NAMES.split_ascii_whitespace().nth(place).filter(|name| *name != "-");
    common.or_else(|| OF_KERNEL.iter().find(|(it, _)| *it == number).map(|(_, name)| *name))
}

/// The positive number of an error, by its name with or without a sign, or by its digits.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim_start_matches('-');
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let text = text.to_ascii_uppercase();
    let common = NAMES.split_ascii_whitespace().position(|name| name == text && name != "-");
    let kernel = || OF_KERNEL.iter().find(|(_, name)| *name == text).map(|(number, _)| *number);
    common.map(|place| place as i64 + 1).or_else(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_system() {
        use rustix::io::Errno;
        for (errno, text) in [
            (Errno::PERM, "EPERM"),
            (Errno::INVAL, "EINVAL"),
            (Errno::DEADLK, "EDEADLK"),
            (Errno::NOMSG, "ENOMSG"),
            (Errno::BADE, "EBADE"),
            (Errno::BFONT, "EBFONT"),
            (Errno::OVERFLOW, "EOVERFLOW"),
            (Errno::OPNOTSUPP, "EOPNOTSUPP"),
            (Errno::TIMEDOUT, "ETIMEDOUT"),
            (Errno::HWPOISON, "EHWPOISON"),
        ] {
            let code = i64::from(errno.raw_os_error());
            assert_eq!(name(code), Some(text));
            assert_eq!(number(text), Some(code));
        }
        assert_eq!((name(0), name(41), name(134), name(524)), (None, None, None, Some("ENOTSUPP")));
        assert_eq!((number("-22"), number("-einval"), number("what")), (Some(22), Some(22), None));
    }
}
