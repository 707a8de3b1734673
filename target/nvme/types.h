// The NVMe specification's own structures and constants, as libnvme publishes them (struct nvme_id_ctrl, NVME_SC_*,
// nvme_cmd_read ...). The other headers of this folder have what libnvme lacks. No behaviour here.
#pragma once

#include <bit>
#include <cstdint>

extern "C" {
#include <nvme/types.h>
}

static_assert(std::endian::native == std::endian::little,
              "NVMe structures are little-endian and this code reads them in place");
