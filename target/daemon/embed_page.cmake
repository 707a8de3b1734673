# cmake -DPAGE=page.html -DOUTPUT=page.cpp -P embed_page.cmake: page.h's definitions. The page has one <style> and one
# <script>; the policy lets a browser run these, and no other.

# base64_of(HEX RESULT): RFC 4648 section 4, for bytes in hexadecimal.
function(base64_of hex result)
  set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  set(text "")
  string(LENGTH "${hex}" length)
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${hex}" ${at} 6 digits)
    string(LENGTH "${digits}" count)
    string(SUBSTRING "${digits}00000" 0 6 digits)
    math(EXPR bits "0x${digits}")
    math(EXPR characters "${count} / 2 + 1")
    foreach(shift 18 12 6 0)
      if(characters GREATER 0)
        math(EXPR place "(${bits} >> ${shift}) & 63")
        string(SUBSTRING ${alphabet} ${place} 1 character)
      else()
        set(character "=")
      endif()
      string(APPEND text "${character}")
      math(EXPR characters "${characters} - 1")
    endforeach()
    math(EXPR at "${at} + 6")
  endwhile()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# source_of(ELEMENT RESULT): the source of what stands in the page's only <ELEMENT>, for the policy.
function(source_of element result)
  string(FIND "${page}" "<${element}>" begin)
  string(FIND "${page}" "</${element}>" end)
  if(begin EQUAL -1 OR end EQUAL -1)
    message(FATAL_ERROR "${PAGE} has no <${element}>")
  endif()
  string(LENGTH "<${element}>" length)
  math(EXPR begin "${begin} + ${length}")
  math(EXPR length "${end} - ${begin}")
  string(SUBSTRING "${page}" ${begin} ${length} content)
  string(SHA256 hash "${content}")
  base64_of(${hash} hash)
  set(${result} "'sha256-${hash}'" PARENT_SCOPE)
endfunction()

file(READ "${PAGE}" page)
source_of(script script)
source_of(style style)
set(policy "default-src 'none'; script-src ${script}; style-src ${style}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
file(WRITE "${OUTPUT}" "#include \"target/daemon/page.h\"

namespace nvmf::daemon {

const std::string_view kPage = R\"PAGE(${page})PAGE\";
const std::string_view kPagePolicy = \"${policy}\";

}  // namespace nvmf::daemon
")
