// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs, caches, nodes, capacities and CPU masks.
