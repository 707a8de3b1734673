// Virtual time for the whole program: std::chrono::steady_clock, with which the core, Asio's timers and the transport
// measure, shows the schedule's clock while a Fabric lives. The seam is the linker's: clock.cpp defines the clock's
// now(), and a timerfd_create() that fails, so that Asio asks the clock instead of the kernel's timers. Nothing here is
// to be called.
#pragma once
