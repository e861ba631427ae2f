// Stands in for Microsoft's vcruntime_exception.h: see declarations.h.
#pragma once
namespace std {
class exception {
public:
    exception() noexcept;
    exception(const exception&) noexcept;
    explicit exception(const char*) noexcept;
    exception(const char*, int) noexcept;
    exception& operator=(const exception&) noexcept;
    virtual ~exception();
    virtual const char* what() const;
};
class bad_exception : public exception {};
class bad_alloc : public exception {};
class bad_array_new_length : public bad_alloc {};
}
