// 84h Namespace Write Protection Config: NVMe Base 2.0, section 5.27.1.28. A row of features.cpp's table.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

// The NSID is that of a namespace.
uint32_t get_write_protection(const Request& request);
// Of one namespace; for ever only where SubsystemOptions allow it. One that becomes protected is flushed before the
// host is answered; where that fails the host is told, and the namespace stays protected.
Status parse_set_write_protection(Request& request);

}  // namespace nvmf::core
