// What libzsync-interpose.so takes from the program: zsync, as its compiler names it. A program without zsync
// has none of it and needs none, so these are weak references: it loads all the same, also where all symbols
// are bound at once (LD_BIND_NOW). Included by the compiler into each source of that library.
#pragma once

// clang-format off
#define ZSYNC_NEEDED_SYMBOLS(X) \
  X(_ZN5zsync5clock3nowEv) X(_ZN5zsync5posix10epoll_waitEiP11epoll_eventii) \
  X(_ZN5zsync5posix15clock_nanosleepEiiPK8timespecPS1_) X(_ZN5zsync5posix4pollEP6pollfdmi) \
  X(_ZN5zsync5posix4readEiPvm) X(_ZN5zsync5posix4recvEiPvmi) X(_ZN5zsync5posix4sendEiPKvmi) \
  X(_ZN5zsync5posix5closeEi) X(_ZN5zsync5posix5fsyncEi) \
  X(_ZN5zsync5posix5ppollEP6pollfdmPK8timespecPK10__sigset_t) X(_ZN5zsync5posix5preadEiPvml) \
  X(_ZN5zsync5posix5readvEiPK5ioveci) X(_ZN5zsync5posix5sleepEj) X(_ZN5zsync5posix5writeEiPKvm) \
  X(_ZN5zsync5posix6acceptEiP8sockaddrPj) X(_ZN5zsync5posix6pwriteEiPKvml) \
  X(_ZN5zsync5posix6selectEiP6fd_setS2_S2_P7timeval) X(_ZN5zsync5posix6sendtoEiPKvmiPK8sockaddrj) \
  X(_ZN5zsync5posix6usleepEj) X(_ZN5zsync5posix6writevEiPK5ioveci) \
  X(_ZN5zsync5posix7accept4EiP8sockaddrPji) X(_ZN5zsync5posix7connectEiPK8sockaddrj) \
  X(_ZN5zsync5posix7detail_19note_low_water_markEv) \
  X(_ZN5zsync5posix7pselectEiP6fd_setS2_S2_PK8timespecPK10__sigset_t) \
  X(_ZN5zsync5posix7recvmsgEiP6msghdri) X(_ZN5zsync5posix7sendmsgEiPK6msghdri) \
  X(_ZN5zsync5posix8recvfromEiPvmiP8sockaddrPj) X(_ZN5zsync5posix8recvmmsgEiP7mmsghdrjiP8timespec) \
  X(_ZN5zsync5posix8sendmmsgEiP7mmsghdrji) X(_ZN5zsync5posix9nanosleepEPK8timespecPS1_) \
  X(_ZN5zsync6detail10descriptor12await_let_goEv) X(_ZN5zsync6detail10descriptor3endEv) \
  X(_ZN5zsync6detail10descriptor5closeEv) X(_ZN5zsync6detail10find_localEPKv) \
  X(_ZN5zsync6detail11note_forkedEv) X(_ZN5zsync6detail11symbol_nameB5cxx11EPKv) \
  X(_ZN5zsync6detail12mode_slot_ofEi) X(_ZN5zsync6detail12run_blockingERNS0_10helper_jobE) \
  X(_ZN5zsync6detail10was_spoiltEij) X(_ZN5zsync6detail13find_borrowedEi) X(_ZN5zsync6detail13waiting_partyEv) \
  X(_ZN5zsync6detail14closing_numberC1Ei) X(_ZN5zsync6detail14closing_numberD1Ev) \
  X(_ZN5zsync6detail14current_engineEv) X(_ZN5zsync6detail15lowest_borrowedEjj) \
  X(_ZN5zsync6detail15may_be_borrowedEi) X(_ZN5zsync6detail19forget_mode_holdersEv) \
  X(_ZN5zsync6detail24run_blocking_for_certainERNS0_10helper_jobE) X(_ZN5zsync6detail4wait4openEv) \
  X(_ZN5zsync6detail4wait6expireERNS0_10timer_nodeE) X(_ZN5zsync6detail4wait5sleepENS_8deadlineE) \
  X(_ZN5zsync6detail6kernel4pollEP6pollfdmi) X(_ZN5zsync6detail6kernel5closeEi) \
  X(_ZN5zsync6detail6kernel5fcntlEiil) X(_ZN5zsync6detail9add_localERNS0_11local_valueE) \
  X(_ZN5zsync6detail8can_readEPKvm) X(_ZN5zsync6detail9can_writeEPvm) \
  X(_ZN5zsync6detail9mode_holdC1Ei) X(_ZN5zsync6detail9mode_holdD1Ev)
// clang-format on

#define ZSYNC_REFERS_WEAKLY(name) __asm__(".weak " #name);
ZSYNC_NEEDED_SYMBOLS(ZSYNC_REFERS_WEAKLY)
#undef ZSYNC_REFERS_WEAKLY
