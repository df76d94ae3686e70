package bolt

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Some tests need another process: this test binary, started again with the name of a child and a path.
const childEnv = "AGNT5D_JOURNAL_CHILD"

var children = map[string]func(path string) error{
	"hold":    childHold,
	"read":    childRead,
	"create":  childCreate,
	"load":    childLoad,
	"compact": childCompact,
	"busy":    childBusy,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](os.Args[len(os.Args)-1]); err != nil {
			fmt.Println("child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	countPage = 7 // so that some runs are more than a page
	os.Exit(m.Run())
}

// child is a process of ours: what it says, line by line, and its end.
type child struct {
	*exec.Cmd
	out *bufio.Scanner
}

func start(t *testing.T, name, path string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	in, err := cmd.StdinPipe() // the child ends when it is closed
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &child{cmd, bufio.NewScanner(out)}
}

func (c *child) line(t *testing.T) string {
	t.Helper()
	if !c.out.Scan() {
		t.Fatalf("the child said nothing more: %v", c.out.Err())
	}
	if strings.HasPrefix(c.out.Text(), "child:") {
		t.Fatal(c.out.Text())
	}
	return c.out.Text()
}

// kill ends the child at once.
func (c *child) kill() {
	_ = c.Process.Kill()
	for c.out.Scan() {
	}
	_ = c.Wait()
}

func waitForStdin() {
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
