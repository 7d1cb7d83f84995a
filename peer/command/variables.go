package command

import (
	"fmt"
	"maps"
	"regexp"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// maxVariables bounds how many variables a registry keeps.
const maxVariables = 1000

// SetVar sets a variable that lines read as $NAME. Variables belong to the
// registry: everyone who types at the peer shares them.
func (r *Registry) SetVar(name, value string) error {
	if !variableName.MatchString(name) {
		return fmt.Errorf("variable name %q: use letters, digits and _, not starting with a digit", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.vars == nil {
		r.vars = make(map[string]string)
	}
	if _, known := r.vars[name]; !known && len(r.vars) == maxVariables {
		return fmt.Errorf("%d variables are set: unset some first", maxVariables)
	}
	r.vars[name] = value
	return nil
}

// Unset forgets a variable and says whether it was set.
func (r *Registry) Unset(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.vars[name]
	delete(r.vars, name)
	return ok
}

// Var returns a variable's value.
func (r *Registry) Var(name string) (value string, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	value, ok = r.vars[name]
	return value, ok
}

// Vars returns all variables.
func (r *Registry) Vars() map[string]string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	vars := maps.Clone(r.vars)
	if vars == nil {
		vars = map[string]string{}
	}
	return vars
}
