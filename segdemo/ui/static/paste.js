// Pictures dropped or pasted anywhere on the page. Files alone are taken: text goes where it always goes.

const ENDINGS = /\.(png|jpe?g|jfif|mpo|webp|gif|bmp|dib|tiff?|pnm|p[bgp]m|jp2|j2k|avif|tga|hei[cf])$/i;

// Some kinds of pictures have no name that browsers know.
export const isPicture = ({type, name}) => type.startsWith('image/') && type !== 'image/svg+xml' || ENDINGS.test(name);

// Which of some files is taken: the first picture, else the first that is none.
export const chosenOf = (files) => files.find(isPicture) ?? files[0] ?? null;

// Gives the path of a file that was sent to the server.
export const upload = async (file) => {
  const form = new FormData();
  form.append('files', file, file.name || 'picture.png');
  const answer = await fetch(new URL('gradio_api/upload', document.baseURI), {method: 'POST', body: form});
  if (!answer.ok) throw new Error(`${answer.status}`);
  return (await answer.json())[0];
};

// Calls give({value: path of the uploaded picture or null, name, count}) for what comes.
export const takeFiles = (give) => {
  const take = async (files) => {
    const file = chosenOf(files);
    const told = {value: null, name: file.name.slice(-60), count: files.length};
    if (!isPicture(file)) {
      give(told);
      return;
    }
    document.documentElement.classList.add('segdemo-taking');
    try {
      give({...told, value: await upload(file)});
    } catch (error) {
      console.warn(error);
      give({...told, failed: true});
    }
    document.documentElement.classList.remove('segdemo-taking');
  };
  const hasFiles = (event) => [...event.dataTransfer?.types ?? []].includes('Files');
  const mark = (on) => document.documentElement.classList.toggle('segdemo-over', on);
  window.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // else the browser would leave the page and open the file
    mark(true);
  });
  window.addEventListener('dragleave', (event) => { if (!event.relatedTarget) mark(false); });
  window.addEventListener('drop', (event) => {
    mark(false);
    if (event.defaultPrevented || !hasFiles(event)) return; // another part of the page has taken it
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
  window.addEventListener('paste', (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (event.defaultPrevented || !files.length) return;
    event.preventDefault();
    take(files);
  });
};
