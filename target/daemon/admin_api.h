// The admin API: the action of each path and method. openapi.json describes it; tests hold the two together.
#pragma once

#include "target/daemon/admin_actions.h"
#include "target/daemon/http_routes.h"

namespace nvmf::daemon {

// `actions` must outlive the routes.
HttpRoutes admin_routes(AdminActions& actions);

}  // namespace nvmf::daemon
