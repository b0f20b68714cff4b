# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks that give way again and again, beside one that does not.
yields() { perl -e 'for (1..60) { syscall(24); $x = 0; $x++ while $x < 150 }'; }
yields &
yields &
i=0
while [ $i -lt 600 ]; do i=$((i + 1)); done
wait
