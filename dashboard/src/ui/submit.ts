/** What a form does when it is sent: the page stays, and this runs. */
export function submitting(run: () => void): (event: { preventDefault: () => void }) => void {
  return (event) => {
    event.preventDefault();
    run();
  };
}
